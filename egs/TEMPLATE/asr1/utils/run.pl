#!/usr/bin/env perl
# Run jobs on this machine. Kaldi's calling convention, see Jobs.pm.
#   --max_jobs_run N   how many run at a time (default: all)
#   --show REGEX       print what its group matches in the log's lines as they come:
#                      on a terminal in one line, over and over (for a single job)
# --gpu, --num_threads, --mem and what else a queue would need change nothing here.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use POSIX qw(:sys_wait_h setpgid);
use lib dirname(abs_path(__FILE__));
use Jobs;

my ($options, $jobs) = Jobs::parse(@ARGV);
my $at_once = $options->{max_jobs_run} // scalar @$jobs;
die "run.pl: --max_jobs_run $at_once must be a positive number\n"
    unless $at_once =~ /^[1-9]\d*$/;

my (%running, @failed);

# Each job is a process group of its own, so that nothing of it outlives us.
sub stop {
    my ($signal) = @_;
    kill 'TERM', map { -$_ } keys %running;
    print STDERR "run.pl: stopped by SIG$signal\n";
    exit 130;
}
$SIG{$_} = \&stop for qw(INT TERM HUP);

my $show = $options->{show};
die "run.pl: --show follows one log, and there are ${\scalar @$jobs} jobs\n"
    if defined $show && @$jobs > 1;
my ($followed, $part) = (undef, '');
$| = 1;

# Print what is new in the log; a line that is not whole yet waits for its end.
sub follow {
    $followed //= do { open my $in, '<', $jobs->[0]{log} or return; $in };
    seek $followed, 0, 1;    # forget an earlier end of file
    while (my $line = <$followed>) {
        $part .= $line;
        next unless $part =~ /\n\z/;
        printf -t STDOUT ? "\r\e[K%s" : "%s\n", $1 if $part =~ /$show/;
        $part = '';
    }
}

# A shell that is killed does not tell its children: see whether ours is still there.
my $parent = getppid();

sub reap {
    my $pid;
    until ($pid = waitpid(-1, WNOHANG)) {
        stop('HUP (its parent has ended)') if getppid() != $parent;
        select undef, undef, undef, 0.1;
        follow() if defined $show;
    }
    my $job = delete $running{$pid} or return;
    push @failed, $job if $?;
}

for my $job (@$jobs) {
    reap() while keys %running >= $at_once;
    my $pid = fork() // die "run.pl: cannot fork: $!\n";
    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
        setpgid(0, 0);
        open STDIN,  '<', '/dev/null' or die "run.pl: /dev/null: $!\n";
        open STDOUT, '>', $job->{log} or die "run.pl: $job->{log}: $!\n";
        open STDERR, '>&', \*STDOUT or die "run.pl: $job->{log}: $!\n";
        exec 'bash', '-c', Jobs::script($job, '') or exit 127;
    }
    $running{$pid} = $job;
}
reap() while %running;
follow() if defined $show;
print "\n" if defined $show && -t STDOUT;
exit Jobs::report($jobs, sort { $a->{n} <=> $b->{n} } @failed);
