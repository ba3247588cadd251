# Where jobs run. Set cmd_backend here or in the environment:
#   local   on this machine (utils/run.pl)
#   slurm   utils/slurm.pl; conf/slurm.conf turns options into flags of sbatch
#   sge     utils/queue.pl; conf/queue.conf turns options into flags of qsub
# A script of your own with Kaldi's calling convention can take their place:
#   ${train_cmd} --gpu 1 JOB=1:4 log/name.JOB.log command JOB
cmd_backend=${cmd_backend:-local}

case "${cmd_backend}" in
    local)
        # train_cmd: data preparation and statistics; cuda_cmd: training;
        # decode_cmd: decoding.
        export train_cmd="utils/run.pl"
        export cuda_cmd="utils/run.pl"
        export decode_cmd="utils/run.pl"
        ;;
    slurm)
        export train_cmd="utils/slurm.pl"
        export cuda_cmd="utils/slurm.pl"
        export decode_cmd="utils/slurm.pl"
        ;;
    sge)
        export train_cmd="utils/queue.pl"
        export cuda_cmd="utils/queue.pl"
        export decode_cmd="utils/queue.pl"
        ;;
    *)
        echo "cmd.sh: cmd_backend=${cmd_backend} must be local, slurm or sge" >&2
        return 1
        ;;
esac
