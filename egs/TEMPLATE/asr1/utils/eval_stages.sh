# Stages 12 to 14: decoding, scoring, packing.

# name_asr_model: which checkpoint later stages mean; known only after training.
name_asr_model() {
    local candidate
    if [ -z "${inference_asr_model}" ]; then
        # Models without an attention decoder have no accuracy.
        for candidate in valid.acc.ave.pth valid.loss.ave.pth valid.cer_ctc.ave.pth; do
            [ -e "${asr_exp}/${candidate}" ] || continue
            inference_asr_model=${candidate}
            break
        done
    fi
    [ -n "${inference_asr_model}" ] && [ -e "${asr_exp}/${inference_asr_model}" ] ||
        die "${asr_exp}/${inference_asr_model:-valid.loss.ave.pth} does not exist:" \
            "run stage 11 to its end, or set --inference_asr_model"
}

# inference_decoding: the way that stage 12 decodes: espnet, ctc_beam or ctc_greedy.
inference_decoding() {
    local found
    found=$(sed -nE 's/^decoding:[^a-z]*([a-z_]+).*/\1/p' "${inference_config:-/dev/null}")
    [[ ! " ${inference_args} " =~ \ --decoding[=\ ]+([a-z_]+) ]] || found=${BASH_REMATCH[1]}
    echo "${found:-espnet}"
}

# check_language_models: whether stage 12 can use the language models that are wanted.
check_language_models() {
    local decoding
    decoding=$(inference_decoding)
    if [ "${decoding}" = ctc_greedy ]; then
        "${biasing}" || # stage 17 has its own --biasing_decoding
            die "decoding ctc_greedy reads no language model: give --inference_args" \
                "\"--decoding ctc_beam\" (n-grams), another --inference_config, or" \
                "--use_lm false and --use_ngram false"
    elif "${use_ngram}" && [ "${ngram_unit}" = word ] && [ "${decoding}" != ctc_beam ]; then
        die "--ngram_unit word is read by --inference_args \"--decoding ctc_beam\", not by" \
            "decoding ${decoding}, which reads --ngram_unit token"
    elif "${use_lm}" && [ "${decoding}" = ctc_beam ]; then
        die "--use_lm true: decoding ctc_beam reads n-grams alone: give --use_ngram true" \
            "and --use_lm false, or --inference_args \"--decoding espnet\""
    fi
}

# Which checkpoint, language models and folder stages 12 to 14 mean.
_name_inference() {
    name_asr_model
    if [ "$(inference_decoding)" = ctc_greedy ]; then # names have their own stages
        local use_lm=false use_ngram=false
    fi
    ! "${use_ngram}" || name_ngram
    [ -z "${inference_tag}" ] || return 0
    inference_tag=inference
    [ -z "${inference_config}" ] || inference_tag=$(basename "${inference_config}" .yaml)
    inference_tag+=$(tag_of "${inference_args}")
    ! "${use_streaming}" || inference_tag+=_streaming
    if "${use_lm}"; then
        inference_tag+="_lm_$(basename "${lm_exp}")_${inference_lm%.pth}"
    fi
    if "${use_ngram}"; then
        inference_tag+="_ngram_$(basename "${ngram_exp}")_${inference_ngram%.*}"
    fi
    inference_tag+="_asr_model_${inference_asr_model%.*}"
}

# The streaming command builds the model before it says so.
_stop_unless_streaming_encoder() {
    local encoder
    encoder=$(awk '$1 == "encoder:" { print $2; exit }' "${asr_exp}/config.yaml")
    case "${encoder}" in
        dynlook_conformer | dynlook_transformer)
            ! "${use_lm}" && ! "${use_ngram}" ||
                die "--use_streaming true: streams of ${encoder} are searched without a" \
                    "language model: give --use_lm false and --use_ngram false"
            ;;
        contextual_block_conformer | contextual_block_transformer) ;;
        *)
            die "--use_streaming true: ${asr_exp} has encoder ${encoder}, which does" \
                "not stream; train dynlook_conformer, dynlook_transformer," \
                "contextual_block_conformer or contextual_block_transformer, or decode" \
                "with --use_streaming false, which reports the lookahead all the same"
            ;;
    esac
}

outputs="text token token_int score lookahead_ms decode_seconds upl_ms
    token_algorithmic_ms token_emission_ms token_computational_ms token_stable_ms
    first_partial_ms final_ms names_used score_parts"

# merge_outputs FOLDER JOBS: join the jobs' results in the order of their keys.
_merge_outputs() {
    local file n
    for file in ${outputs}; do
        [ -e "$1/logdir/output.1/1best_recog/${file}" ] || continue
        for n in $(seq "$2"); do
            cat "$1/logdir/output.${n}/1best_recog/${file}"
        done | LC_ALL=C sort -k 1,1 >"$1/${file}.new"
        mv "$1/${file}.new" "$1/${file}"
    done
}

# decode_set FOLDER SET OPTION...: decode a set into a folder, in parallel jobs.
decode_set() {
    local folder=$1 dset=$2 logdir="$1/logdir" jobs file cmd=${decode_cmd} gpus=0
    local module=espnet_dynlook.bin.asr_inference
    shift 2
    if "${gpu_inference}"; then
        cmd=${cuda_cmd}
        gpus=1
    fi
    ! "${use_streaming}" || module+=_streaming
    jobs=$(min "${inference_nj}" "$(count_lines "${data_feats}/${dset}/${speech_scp}")")
    # After a failed decoding, earlier results shall not be scored as this one's.
    rm -rf "${logdir}" "${folder}"/score_wer "${folder}"/score_cer
    for file in ${outputs}; do rm -f "${folder}/${file}"; done
    split_scp "${data_feats}/${dset}/${speech_scp}" "${jobs}" "${logdir}/keys"
    log "Decoding ${dset}, ${jobs} jobs: ${logdir}/asr_inference.*.log"
    # shellcheck disable=SC2086
    ${cmd} --gpu "${gpus}" "JOB=1:${jobs}" "${logdir}/asr_inference.JOB.log" \
        ${python} -m ${module} --batch_size "${batch_size}" --ngpu "${gpus}" \
        --data_path_and_name_and_type "${data_feats}/${dset}/${speech_scp},speech,${speech_type}" \
        --key_file "${logdir}/keys.JOB.scp" \
        --asr_train_config "${asr_exp}/config.yaml" \
        --asr_model_file "${asr_exp}/${inference_asr_model}" \
        --output_dir "${logdir}/output.JOB" "$@"
    _merge_outputs "${folder}" "${jobs}"
}

stage_12() {
    local dset options=()
    _name_inference
    ! "${use_streaming}" || _stop_unless_streaming_encoder
    if [ "$(inference_decoding)" = ctc_greedy ] && { "${use_lm}" || "${use_ngram}"; }; then
        log "Decoding ctc_greedy reads no language model; stage 17 does"
        local use_lm=false use_ngram=false
    fi
    [ -z "${inference_config}" ] || options+=(--config "${inference_config}")
    if "${use_lm}"; then
        options+=(--lm_train_config "${lm_exp}/config.yaml"
            --lm_file "${lm_exp}/${inference_lm}")
    fi
    if "${use_ngram}"; then
        options+=("${ngram_option}" "${ngram_exp}/${inference_ngram}")
    fi
    write_run_script "${asr_exp}/${inference_tag}" 12
    for dset in ${test_sets}; do
        # shellcheck disable=SC2086
        decode_set "${asr_exp}/${inference_tag}/${dset}" "${dset}" "${options[@]}" \
            ${inference_args}
    done
}

stage_13() {
    local dset command=${run_command% }
    _name_inference
    # RESULTS.md is read on other machines: name the folder with data by its variable.
    [ -z "${DYNLOOK_DATA:-}" ] || command=${command//"${DYNLOOK_DATA%/}"/\$DYNLOOK_DATA}
    for dset in ${test_sets}; do
        # shellcheck disable=SC2086
        ${python} -m espnet_dynlook.recipe.score \
            --data_dir "${data_feats}/${dset}" \
            --decode_dir "${asr_exp}/${inference_tag}/${dset}" \
            --nlsyms_txt "${nlsyms_txt}" --cleaner "${cleaner}" \
            --command "${command}"
    done
    if [ -x local/score.sh ]; then
        # shellcheck disable=SC2086
        local/score.sh ${local_score_opts} "${asr_exp}"
    fi
    # shellcheck disable=SC2086
    ${python} -m espnet_dynlook.recipe.results "${asr_exp}"
}

stage_14() {
    local packed options=()
    _name_inference
    packed="${asr_exp}/$(basename "${asr_exp}")_${inference_asr_model%.*}.zip"
    if "${use_lm}"; then
        options+=(--lm_train_config "${lm_exp}/config.yaml"
            --lm_file "${lm_exp}/${inference_lm}")
        [ ! -e "${lm_exp}/images" ] || options+=(--option "${lm_exp}/images")
    fi
    [ "${feats_normalize}" != global_mvn ] ||
        options+=(--option "${asr_stats_dir}/train/feats_stats.npz")
    [ "${bpemodel}" = none ] || options+=(--option "${bpemodel}")
    [ "${nlsyms_txt}" = none ] || options+=(--option "${nlsyms_txt}")
    [ ! -e "${asr_exp}/RESULTS.md" ] || options+=(--option "${asr_exp}/RESULTS.md")
    [ ! -e "${asr_exp}/images" ] || options+=(--option "${asr_exp}/images")
    # shellcheck disable=SC2086
    ${train_cmd} "${asr_exp}/pack.log" ${python} -m espnet2.bin.pack asr \
        --asr_train_config "${asr_exp}/config.yaml" \
        --asr_model_file "${asr_exp}/${inference_asr_model}" \
        "${options[@]}" --outpath "${packed}"
    log "Packed: ${packed}"
}
