#!/usr/bin/env perl
# Run jobs through a Grid Engine queue, as one array, and wait for them.
# Calling convention: Jobs.pm. conf/queue.conf (or --config FILE) says how options
# become flags of qsub.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname basename);
use lib dirname(abs_path(__FILE__));
use Jobs;

my ($options, $jobs, $log) = Jobs::parse(@ARGV);
my $name = delete $options->{name} // basename($log, '.log');
my ($command, $flags) = Jobs::queue_flags($options, 'conf/queue.conf', <<'STANDARD');
command qsub -v PATH -cwd -S /bin/bash
option gpu=0
option gpu=* -l gpu=$0
option mem=* -l mem_free=$0,ram_free=$0
option time=* -l h_rt=$0
option num_threads=* -pe smp $0
option num_nodes=* -pe mpi $0
option max_jobs_run=* -tc $0
default gpu=0
STANDARD

(my $job_name = $name) =~ s{[^\w.-]}{_}g;    # Grid Engine allows no slash
$job_name = "j$job_name" if $job_name =~ /^\d/;
my ($script, $queue_log) = Jobs::write_array($jobs, $log, 'SGE_TASK_ID');
my $submit = join ' ', $command, $flags, '-sync y', '-N ' . Jobs::quote($job_name),
    '-j y -o ' . Jobs::quote($queue_log), "-t $jobs->[0]{n}-$jobs->[-1]{n}",
    Jobs::quote($script), '>', Jobs::quote("$queue_log.submit"), '2>&1';
system 'bash', '-c', $submit;
sleep 2 if Jobs::unfinished($jobs);    # for the logs to cross the network
my @failed = Jobs::unfinished($jobs);
if (@failed && grep { !-e $_->{log} } @failed) {
    print STDERR "queue.pl: $submit\n";
    for my $file ("$queue_log.submit", $queue_log) {
        open my $in, '<', $file or next;
        print STDERR map { "    $_" } <$in>;
    }
}
exit Jobs::report($jobs, @failed);
