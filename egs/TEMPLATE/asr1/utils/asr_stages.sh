# Stages 10 and 11: statistics and training.

# aggregate_stats FOLDER JOBS: join what JOBS jobs found in FOLDER/logdir/stats.N.
aggregate_stats() {
    local inputs=() n part size
    for n in $(seq "$2"); do inputs+=(--input_dir "$1/logdir/stats.${n}"); done
    # shellcheck disable=SC2086
    ${python} -m espnet2.bin.aggregate_stats_dirs "${inputs[@]}" --output_dir "$1" \
        >"$1/logdir/aggregate.log" 2>&1 || {
        tail -n 20 "$1/logdir/aggregate.log" >&2
        die "the statistics were not joined: $1/logdir/aggregate.log"
    }
    # batch_type numel counts text in one-hot vectors: the list's size is appended.
    size=$(count_lines "${token_list}")
    for part in train valid; do
        awk -v n="${size}" '{ print $0 "," n }' "$1/${part}/text_shape" \
            >"$1/${part}/text_shape.${token_type}"
    done
}

# run_training FOLDER COMMAND...: one process directly, several through ESPnet's launch.
run_training() {
    local folder=$1 name=$1/train.log show=()
    shift
    # A queue takes the name of the job; Grid Engine allows no slash in it.
    [[ "${cuda_cmd}" != *queue* ]] || name=$(basename "${folder}")
    log "Training: ${folder}/train.log"
    if [ "${ngpu}" -le 1 ] && [ "${num_nodes}" -le 1 ]; then
        # On this machine one can watch: epoch, loss, lookahead and time left.
        [[ "${cuda_cmd}" != */run.pl ]] || show=(--show 'INFO: (epoch \d+/\d+, batch .*)')
        rotate_log "${folder}/train.log"
        # shellcheck disable=SC2086
        ${cuda_cmd} --name "${name}" --gpu "${ngpu}" ${show[@]+"${show[@]}"} \
            "${folder}/train.log" "$@" --ngpu "${ngpu}"
    else
        # launch adds --ngpu, the nodes' addresses and the rank to the command.
        # shellcheck disable=SC2086
        ${python} -m espnet2.bin.launch --cmd "${cuda_cmd} --name ${name}" \
            --log "${folder}/train.log" --ngpu "${ngpu}" --num_nodes "${num_nodes}" \
            --init_file_prefix "${folder}/.dist_init_" \
            --multiprocessing_distributed true -- "$@"
    fi
}

_asr_options() {
    asr_options=(
        --use_preprocessor true --bpemodel "${bpemodel}" --token_type "${token_type}"
        --token_list "${token_list}" --non_linguistic_symbols "${nlsyms_txt}"
        --cleaner "${cleaner}" --g2p none --frontend_conf "fs=${fs}"
        --train_data_path_and_name_and_type "${train_dir}/${speech_scp},speech,${speech_type}"
        --train_data_path_and_name_and_type "${train_dir}/text,text,text"
        --valid_data_path_and_name_and_type "${valid_dir}/${speech_scp},speech,${speech_type}"
        --valid_data_path_and_name_and_type "${valid_dir}/text,text,text"
    )
    [ -z "${asr_config}" ] || asr_options+=(--config "${asr_config}")
}

# collect_stats FOLDER: of train_dir and valid_dir.
collect_stats() {
    local logdir="$1/logdir" jobs
    # shellcheck disable=SC2086
    ${python} -m espnet_dynlook.recipe.lengths --config "${asr_config:-none}" \
        --fs "${speech_rate}" "${train_dir}" "${valid_dir}"
    _asr_options
    jobs=$(min "${nj}" "$(count_lines "${train_dir}/${speech_scp}")" \
        "$(count_lines "${valid_dir}/${speech_scp}")")
    split_scp "${train_dir}/${speech_scp}" "${jobs}" "${logdir}/train"
    split_scp "${valid_dir}/${speech_scp}" "${jobs}" "${logdir}/valid"
    write_run_script "$1" 10
    log "Statistics, ${jobs} jobs: ${logdir}/stats.*.log"
    # shellcheck disable=SC2086
    ${train_cmd} "JOB=1:${jobs}" "${logdir}/stats.JOB.log" \
        ${python} -m espnet_dynlook.bin.asr_train --collect_stats true \
        "${asr_options[@]}" \
        --train_shape_file "${logdir}/train.JOB.scp" \
        --valid_shape_file "${logdir}/valid.JOB.scp" \
        --output_dir "${logdir}/stats.JOB" ${asr_args}
    aggregate_stats "$1" "${jobs}"
}

# adapter_data: what stage 16 trains on, and where stage 10 leaves its statistics.
adapter_data() {
    adapter_stats_dir=${asr_stats_dir} adapter_train_dir=${train_dir}
    if [ -n "${adapter_train_set}" ]; then
        adapter_stats_dir="${asr_stats_dir}_${adapter_train_set}"
        adapter_train_dir="${data_feats}/${adapter_train_set}"
    fi
}

stage_10() {
    local adapter_stats_dir adapter_train_dir
    collect_stats "${asr_stats_dir}"
    if "${biasing}" && [ -n "${adapter_train_set}" ]; then
        adapter_data
        train_dir=${adapter_train_dir} collect_stats "${adapter_stats_dir}"
    fi
}

stage_11() {
    local fold=$((asr_speech_fold_length * 100)) # samples, of about 10 ms a frame
    [ "${feats_type}" = raw ] || fold=${asr_speech_fold_length}
    _asr_options
    asr_options+=(
        --train_shape_file "${asr_stats_dir}/train/speech_shape"
        --train_shape_file "${asr_stats_dir}/train/text_shape.${token_type}"
        --valid_shape_file "${asr_stats_dir}/valid/speech_shape"
        --valid_shape_file "${asr_stats_dir}/valid/text_shape.${token_type}"
        --fold_length "${fold}"
        --fold_length "${asr_text_fold_length}"
        --resume true --output_dir "${asr_exp}"
        --ignore_init_mismatch "${ignore_init_mismatch}"
    )
    [ -z "${pretrained_model}" ] || asr_options+=(--init_param "${pretrained_model}")
    if [ "${feats_normalize}" = global_mvn ]; then
        asr_options+=(--normalize global_mvn
            --normalize_conf "stats_file=${asr_stats_dir}/train/feats_stats.npz")
    fi
    stop_if_live "${asr_exp}"
    write_run_script "${asr_exp}" 11
    # shellcheck disable=SC2086
    run_training "${asr_exp}" ${python} -m espnet_dynlook.bin.asr_train \
        "${asr_options[@]}" ${asr_args}
}
