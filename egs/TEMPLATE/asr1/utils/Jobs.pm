package Jobs;
# What run.pl, slurm.pl and queue.pl share: Kaldi's calling convention, the script
# that a job runs, and the report on the jobs that failed.
#
#   <backend>.pl [--gpu N] [--num_threads N] [--mem 8G] [--config FILE] [...] \
#       [JOB=1:8] log/name.JOB.log command argument ...
#
# Only modules of perl-base are used.
use strict;
use warnings;
use Cwd qw(getcwd);
use File::Basename qw(dirname basename fileparse);
use File::Path qw(make_path);

my $LAST_LINES = 20;    # of a failed job's log

# Options are read as pairs in front of the log; unknown ones are kept, for the
# "option" lines of conf/slurm.conf and conf/queue.conf.
sub parse {
    my @args = @_;
    my $name = basename($0);
    my (%options, $variable, $first, $last);
    ($first, $last) = (1, 1);
    while (@args) {
        if ($args[0] =~ /^--?([A-Za-z][\w-]*)$/) {
            my $option = $1;
            shift @args;
            die "$name: option --$option has no value\n" unless @args;
            (my $key = $option) =~ s/-/_/g;
            $options{$key} = shift @args;
        } elsif ($args[0] =~ /^([A-Za-z_]\w*)=(\d+)(?::(\d+))?$/) {
            ($variable, $first) = ($1, $2);
            $last = defined $3 ? $3 : $2;
            die "$name: $args[0]: the range ends before it begins\n" if $last < $first;
            shift @args;
        } else {
            last;
        }
    }
    die "usage: $name [--gpu N] [JOB=1:N] LOG COMMAND [ARGUMENT ...]\n" if @args < 2;
    my ($log, @command) = @args;
    die "$name: $log must contain $variable, since the jobs of $variable=$first:$last"
        . " would write one log\n"
        if defined $variable && $last > $first && $log !~ /\Q$variable\E/;
    my @jobs;
    for my $n ($first .. $last) {
        my ($l, @c) = ($log, @command);
        if (defined $variable) { s/\Q$variable\E/$n/g for $l, @c; }
        push @jobs, { n => $n, log => $l, command => join(' ', map { quote($_) } @c) };
    }
    make_path(dirname($_->{log})) for @jobs;
    return (\%options, \@jobs, $log);
}

# Everything is quoted but the operators that Kaldi's scripts pass as words.
sub quote {
    my ($word) = @_;
    return $word if $word =~ m{^(?:\||<|>|>>|2>|2>&1|;|&&|\|\|)$};
    return $word if $word =~ m{^[\w@%+=:,./-]+$};
    $word =~ s/'/'\\''/g;
    return "'$word'";
}

# Bash text that runs one job, its header and its exit status going to the log.
sub script {
    my ($job, $set_up) = @_;
    my $shown = quote("# $job->{command}");
    return join "\n", 'cd ' . quote(getcwd()), $set_up, 'set -o pipefail',
        "echo $shown", 'echo "# Started at $(date) on $(hostname)"', 'SECONDS=0',
        "( $job->{command} )", 'status=$?',
        'echo "# Ended (code ${status}) at $(date), after ${SECONDS} s"',
        'exit ${status}', '';
}

# Say which jobs failed, where their logs are and how these end; return the exit status.
sub report {
    my ($jobs, @failed) = @_;
    return 0 unless @failed;
    my $name = basename($0);
    printf STDERR "%s: %d of %d jobs failed\n", $name, scalar @failed, scalar @$jobs
        if @$jobs > 1;
    for my $job (@failed[0 .. ($#failed < 2 ? $#failed : 2)]) {
        print STDERR "$name: job failed, its log is $job->{log}";
        if (open my $in, '<', $job->{log}) {
            my @lines = <$in>;
            close $in;
            @lines = @lines[-$LAST_LINES .. -1] if @lines > $LAST_LINES;
            print STDERR ", which ends:\n", map { "    $_" } @lines;
        } else {
            print STDERR ", which was never written\n";
        }
    }
    printf STDERR "%s: and %d more\n", $name, @failed - 3 if @failed > 3;
    return 1;
}

# The jobs of a queue that did not leave a status of 0.
sub unfinished {
    my ($jobs) = @_;
    return grep {
        my $status = '';
        if (open my $in, '<', $_->{status}) {
            $status = <$in> // '';
            close $in;
        }
        $status !~ /^0$/;
    } @$jobs;
}

# The queue's command and the flags that its configuration gives for these options.
# The file has Kaldi's form:
#   command qsub -V -cwd
#   default gpu=0
#   option mem=* -l mem_free=$0
#   option gpu=0
#   option gpu=* -l gpu=$0
sub queue_flags {
    my ($options, $file, $standard) = @_;
    my $text = $standard;
    my $config = delete $options->{config};
    $file = $config if defined $config;
    if (-e $file) {
        open my $in, '<', $file or die "$file: $!\n";
        local $/;
        $text = <$in>;
    } elsif (defined $config) {
        die basename($0) . ": --config $config does not exist\n";
    }
    my ($command, %default, @rules) = ('');
    for my $line (split /\n/, $text) {
        $line =~ s/#.*//;
        next unless $line =~ /\S/;
        if    ($line =~ /^\s*command\s+(.+?)\s*$/)             { $command = $1; }
        elsif ($line =~ /^\s*default\s+(\w+)=(\S+)\s*$/)       { $default{$1} = $2; }
        elsif ($line =~ /^\s*option\s+(\w+)=(\S+)\s*(.*?)\s*$/) { push @rules, [$1, $2, $3]; }
        else { die basename($0) . ": cannot read this line of $file: $line\n"; }
    }
    my %values = (%default, %$options);
    my @flags;
    for my $key (sort keys %values) {
        my ($rule) = grep { $_->[0] eq $key && $_->[1] eq $values{$key} } @rules;
        ($rule) = grep { $_->[0] eq $key && $_->[1] eq '*' } @rules unless $rule;
        if (!$rule) {
            die basename($0) . ": $file has no line 'option $key=$values{$key} ...' nor"
                . " 'option $key=* ...'\n";
        }
        (my $flag = $rule->[2]) =~ s/\$0/$values{$key}/g;
        push @flags, $flag if length $flag;
    }
    return ($command, join ' ', @flags);
}

# Write every job's script and the array script that picks its own by $index.
sub write_array {
    my ($jobs, $log, $index) = @_;
    my ($stem, $folder) = fileparse($log, qr/\.log/);
    $stem =~ s/\W/_/g;
    my $q = "${folder}q";
    make_path($q);
    for my $job (@$jobs) {
        $job->{status} = "$q/$stem.$job->{n}.status";
        unlink $job->{log}, $job->{status};    # an earlier run's must not count
        open my $out, '>', "$q/$stem.$job->{n}.sh" or die "$q/$stem.$job->{n}.sh: $!\n";
        print $out "exec > ", quote($job->{log}), " 2>&1\n(\n",
            script($job, '[ -f ./path.sh ] && . ./path.sh'), ")\n", 'status=$?', "\n",
            'echo "${status}" > ', quote($job->{status}), "\n", 'exit ${status}', "\n";
        close $out;
    }
    open my $out, '>', "$q/$stem.sh" or die "$q/$stem.sh: $!\n";
    print $out "#!/usr/bin/env bash\ncd ", quote(getcwd()), "\n",
        "exec bash ", quote("$q/$stem"), ".\${$index}.sh\n";
    close $out;
    return ("$q/$stem.sh", "$q/$stem.queue.log");
}

1;
