#!/usr/bin/env perl
# Run jobs through Slurm, as one array, and wait for them. Calling convention: Jobs.pm.
# conf/slurm.conf (or --config FILE) says how options become flags of sbatch.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname basename);
use lib dirname(abs_path(__FILE__));
use Jobs;

my ($options, $jobs, $log) = Jobs::parse(@ARGV);
my $name = delete $options->{name} // basename($log, '.log');
my ($command, $flags) = Jobs::queue_flags($options, 'conf/slurm.conf', <<'STANDARD');
command sbatch --export=ALL --ntasks-per-node=1
option gpu=0
option gpu=* --gres=gpu:$0
option mem=* --mem=$0
option time=* --time=$0
option num_threads=* --cpus-per-task=$0
option num_nodes=* --nodes=$0
option max_jobs_run=*
default gpu=0
STANDARD

# More than one task in an array of several nodes would confuse srun: a single job
# is submitted without --array.
my $array = '';
if (@$jobs > 1) {
    $array = "--array=$jobs->[0]{n}-$jobs->[-1]{n}";
    $array .= "%$options->{max_jobs_run}" if defined $options->{max_jobs_run};
}
my $index = "SLURM_ARRAY_TASK_ID:-$jobs->[0]{n}";
my ($script, $queue_log) = Jobs::write_array($jobs, $log, $index);
my $submit = join ' ', $command, $flags, $array, '--wait', '--output=' .
    Jobs::quote($queue_log), '--open-mode=append', '--job-name=' . Jobs::quote($name),
    Jobs::quote($script), '>', Jobs::quote("$queue_log.submit"), '2>&1';
system 'bash', '-c', $submit;
sleep 2 if Jobs::unfinished($jobs);    # for the logs to cross the network
my @failed = Jobs::unfinished($jobs);
if (@failed && grep { !-e $_->{log} } @failed) {
    print STDERR "slurm.pl: $submit\n";
    for my $file ("$queue_log.submit", $queue_log) {
        open my $in, '<', $file or next;
        print STDERR map { "    $_" } <$in>;
    }
}
exit Jobs::report($jobs, @failed);
