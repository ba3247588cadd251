# Stages 1 to 5: from the corpus to dump/raw and the token list.

stage_1() {
    [ -x local/data.sh ] || die "local/data.sh is missing or not executable"
    # shellcheck disable=SC2086
    local/data.sh ${local_data_opts}
    # shellcheck disable=SC2046,SC2086
    ${python} -m espnet_dynlook.recipe.data_dir \
        --allow_empty_text "${allow_empty_text}" $(printf 'data/%s ' ${data_sets})
}

stage_2() {
    if [ -z "${speed_perturb_factors}" ]; then
        log "No speed perturbation: --speed_perturb_factors is empty"
        return
    fi
    recipe_job "${data_feats}/logs/speed_${train_set}.log" speed \
        --in_dir "data/${train_set%_sp}" --out_dir "data/${train_set}" \
        --factors "${speed_perturb_factors}" --audio_format "${audio_format}" \
        --allow_empty_text "${allow_empty_text}" --nj "${nj}"
}

# What the length filter will read goes to org, as in ESPnet.
stage_3() {
    local dset suffix
    for dset in ${all_sets}; do
        suffix=""
        [[ " ${train_set} ${valid_set} ${adapter_train_set} " == *" ${dset} "* ]] && suffix=/org
        if [ "${feats_type}" = extracted ]; then
            recipe_job "${data_feats}/logs/format_${dset}.log" format_features \
                --in_dir "data/${dset}" --out_dir "${data_feats}${suffix}/${dset}" \
                --allow_empty_text "${allow_empty_text}"
            continue
        fi
        recipe_job "${data_feats}/logs/format_${dset}.log" format_audio \
            --in_dir "data/${dset}" --out_dir "${data_feats}${suffix}/${dset}" \
            --fs "${fs}" --audio_format "${audio_format}" --resample "${resample}" \
            --allow_empty_text "${allow_empty_text}" --nj "${nj}"
    done
}

stage_4() {
    local dset
    for dset in "${train_set}" "${valid_set}" ${adapter_train_set}; do
        recipe_job "${data_feats}/logs/filter_${dset}.log" filter \
            --in_dir "${data_feats}/org/${dset}" --out_dir "${data_feats}/${dset}" \
            --fs "${speech_rate}" --min_wav_duration "${min_wav_duration}" \
            --max_wav_duration "${max_wav_duration}"
    done
}

stage_5() {
    recipe_job "${data_feats}/logs/tokens_${token_type}.log" tokens \
        --text "${bpe_train_text}" --out_dir "${token_dir}" \
        --token_type "${token_type}" --nbpe "${nbpe}" --bpemode "${bpemode}" \
        --bpe_nlsyms "${bpe_nlsyms}" --bpe_char_cover "${bpe_char_cover}" \
        --bpe_input_sentence_size "${bpe_input_sentence_size}" \
        --nlsyms_txt "${nlsyms_txt}" --cleaner "${cleaner}" --word_vocab_size "${word_vocab_size}" \
        --check_text "${data_feats}/${train_set}/text" \
        --check_text "${data_feats}/${valid_set}/text"
}
