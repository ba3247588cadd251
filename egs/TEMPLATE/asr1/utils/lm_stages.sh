# Stages 6 to 9: the language models.

# Arguments that statistics and training share.
_lm_options() {
    lm_options=(
        --use_preprocessor true --bpemodel "${bpemodel}" --token_type "${token_type}"
        --token_list "${token_list}" --non_linguistic_symbols "${nlsyms_txt}"
        --cleaner "${cleaner}" --g2p none
        --train_data_path_and_name_and_type "${data_feats}/lm_train.txt,text,text"
        --valid_data_path_and_name_and_type "${lm_dev_text},text,text"
    )
    [ -z "${lm_config}" ] || lm_options+=(--config "${lm_config}")
}

_write_lm_text() {
    # shellcheck disable=SC2086
    awk 'NF > 1' ${lm_train_text} >"${data_feats}/lm_train.txt.new"
    mv "${data_feats}/lm_train.txt.new" "${data_feats}/lm_train.txt"
}

stage_6() {
    local logdir="${lm_stats_dir}/logdir" jobs
    _write_lm_text
    _lm_options
    jobs=$(min "${nj}" "$(count_lines "${data_feats}/lm_train.txt")" \
        "$(count_lines "${lm_dev_text}")")
    split_scp "${data_feats}/lm_train.txt" "${jobs}" "${logdir}/train"
    split_scp "${lm_dev_text}" "${jobs}" "${logdir}/dev"
    log "Language model statistics, ${jobs} jobs: ${logdir}/stats.*.log"
    # shellcheck disable=SC2086
    ${train_cmd} "JOB=1:${jobs}" "${logdir}/stats.JOB.log" \
        ${python} -m espnet_dynlook.run -m espnet2.bin.lm_train \
        --collect_stats true "${lm_options[@]}" \
        --train_shape_file "${logdir}/train.JOB.scp" \
        --valid_shape_file "${logdir}/dev.JOB.scp" \
        --output_dir "${logdir}/stats.JOB" ${lm_args}
    aggregate_stats "${lm_stats_dir}" "${jobs}"
}

stage_7() {
    [ -e "${data_feats}/lm_train.txt" ] || _write_lm_text
    _lm_options
    lm_options+=(
        --train_shape_file "${lm_stats_dir}/train/text_shape.${token_type}"
        --valid_shape_file "${lm_stats_dir}/valid/text_shape.${token_type}"
        --fold_length "${lm_fold_length}" --resume true --output_dir "${lm_exp}"
    )
    stop_if_live "${lm_exp}"
    write_run_script "${lm_exp}" 7
    # shellcheck disable=SC2086
    run_training "${lm_exp}" ${python} -m espnet_dynlook.run -m espnet2.bin.lm_train \
        "${lm_options[@]}" ${lm_args}
}

stage_8() {
    # shellcheck disable=SC2086
    ${cuda_cmd} --gpu "${ngpu}" "${lm_exp}/perplexity_test/lm_calc_perplexity.log" \
        ${python} -m espnet_dynlook.run -m espnet2.bin.lm_calc_perplexity \
        --ngpu "${ngpu}" --data_path_and_name_and_type "${lm_test_text},text,text" \
        --train_config "${lm_exp}/config.yaml" --model_file "${lm_exp}/${inference_lm}" \
        --output_dir "${lm_exp}/perplexity_test"
    log "Perplexity of ${lm_test_text}: $(<"${lm_exp}/perplexity_test/ppl")"
}

# name_ngram: which file decoding takes, and the option that it is given with.
name_ngram() {
    ngram_option=--ngram_file
    [ "${ngram_unit}" = token ] || ngram_option=--word_ngram
    [ -z "${inference_ngram}" ] || return 0
    inference_ngram=${ngram_num}gram.bin
    # An n-gram of words can be read from ARPA without the package kenlm.
    # shellcheck disable=SC2086
    [ -e "${ngram_exp}/${inference_ngram}" ] &&
        { [ "${ngram_unit}" = token ] || ${python} -c "import kenlm" 2>/dev/null; } ||
        inference_ngram=${ngram_num}gram.arpa
}

# find_lmplz: put python's programs on PATH too: recipe.kenlm builds lmplz there.
find_lmplz() {
    local scripts
    # shellcheck disable=SC2086
    scripts=$(${python} -c 'import sysconfig; print(sysconfig.get_path("scripts"))')
    [ -z "${scripts}" ] || PATH="${PATH}:${scripts}"
    command -v lmplz >/dev/null
}

# The scorer of ESPnet's search walks token by token, so its n-gram is one of tokens;
# the CTC beam search can have one of words, too.
stage_9() {
    local arpa="${ngram_exp}/${ngram_num}gram.arpa" text="${ngram_exp}/${ngram_unit}s.txt"
    local options=(--cleaner "${cleaner}" --non_linguistic_symbols "${nlsyms_txt}")
    mkdir -p "${ngram_exp}"
    _write_lm_text
    if [ "${ngram_unit}" = word ]; then
        options+=(--token_type word)
    else
        options+=(--token_type "${token_type}")
        [ "${bpemodel}" = none ] || options+=(--bpemodel "${bpemodel}")
    fi
    # shellcheck disable=SC2086
    ${train_cmd} "${ngram_exp}/tokenize.log" \
        ${python} -m espnet_dynlook.run -m espnet2.bin.tokenize_text -f 2- \
        --input "${data_feats}/lm_train.txt" --output "${text}" "${options[@]}"
    # shellcheck disable=SC2086
    ${train_cmd} "${ngram_exp}/lmplz.log" \
        lmplz -S 20% --discount_fallback -o "${ngram_num}" --text "${text}" \
        --arpa "${arpa}.new"
    mv "${arpa}.new" "${arpa}"
    if command -v build_binary >/dev/null; then
        build_binary -s "${arpa}" "${arpa%.arpa}.bin"
    else
        log "KenLM's build_binary is not on PATH: ${arpa} is used, which loads slower"
    fi
}
