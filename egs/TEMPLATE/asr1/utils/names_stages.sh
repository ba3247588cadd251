# Stages 15 to 18: lists of names, an adapter for them, decoding and scoring with them.

# names_systems: what stage 17 decodes with.
names_systems() {
    if [ -n "${biasing_systems}" ]; then
        echo "${biasing_systems}"
    elif [ -z "${adapter_exp}" ]; then
        echo "base techniques"
    elif [ "${biasing_decoding}" = ctc_greedy ]; then
        echo "base adapter"
    else
        echo "base techniques adapter both"
    fi
}

# asr_decoder: the decoder of the model, or of the one that stage 11 would train.
asr_decoder() {
    if [ -e "${asr_exp}/config.yaml" ]; then
        awk '$1 == "decoder:" { print $2; exit }' "${asr_exp}/config.yaml"
    elif [[ " ${asr_args} " =~ \ --decoder[=\ ]+([a-z_]+) ]]; then
        echo "${BASH_REMATCH[1]}"
    elif [ -n "${asr_config}" ]; then
        # shellcheck disable=SC2086
        ${python} -c 'import sys; from espnet_dynlook import config
print(config.resolve(sys.argv[1]).get("decoder"))' "${asr_config}"
    fi
}

# _check_names_decoding: whether stage 17 can decode as it is asked to.
_check_names_decoding() {
    local way="--biasing_decoding ${biasing_decoding}"
    if "${use_streaming}"; then
        [ "${biasing_decoding}" != espnet ] ||
            die "${way}: streams (--use_streaming true) are searched with CTC or as" \
                "transducers: ctc_beam or ctc_greedy"
        ! "${use_ngram}" || [ "${biasing_decoding}" = ctc_greedy ] ||
            [ "${ngram_unit}" = word ] ||
            die "--ngram_unit token: streams (--use_streaming true) are searched with" \
                "n-grams of words: give --ngram_unit word, or --use_ngram false"
    fi
    if "${use_ngram}" && [ "${biasing_decoding}" != ctc_greedy ]; then
        [ "${biasing_decoding}" != espnet ] || [ "${ngram_unit}" = token ] ||
            die "--ngram_unit word is read by --biasing_decoding ctc_beam, not by" \
                "espnet, which reads --ngram_unit token"
        # shellcheck disable=SC2086
        [ "${ngram_unit}" = word ] ||
            [[ "${biasing_decoding},${inference_ngram}" = ctc_beam,*.arpa ]] ||
            ${python} -c "import kenlm" 2>/dev/null ||
            die "${way} with an n-gram of tokens needs the Python package kenlm: pip" \
                "install kenlm, or set --use_ngram false"
    fi
    if [ "${biasing_decoding}" = espnet ] && [ "$(asr_decoder)" = transducer ]; then
        case " $(names_systems) " in
            *" techniques "* | *" both "*)
                die "${way}: ESPnet's search of transducers takes no names: give" \
                    "--biasing_systems \"base adapter\", or --biasing_decoding ctc_beam" \
                    "for the CTC head"
                ;;
        esac
    fi
}

# check_names_options: stop before hours of work for what stage 17 would refuse.
check_names_options() {
    local word known
    one_of biasing_decoding ctc_beam ctc_greedy espnet
    for word in ${biasing_sizes} ${biasing_without} ${biasing_seeds}; do
        [[ "${word}" =~ ^[0-9]+$ ]] ||
            die "--biasing_sizes, --biasing_without and --biasing_seeds are whole" \
                "numbers, not '${word}'"
    done
    for word in ${biasing_without}; do
        [ "${word}" -gt 0 ] || die "--biasing_without 0: such a list is empty"
    done
    known=" ${train_set} ${valid_set} ${test_sets} "
    for word in ${biasing_sets}; do
        [[ "${known}" == *" ${word} "* ]] ||
            die "--biasing_sets ${word}: must be of:${known}"
    done
    for word in $(names_systems); do
        case "${word}" in
            base) continue ;;
            techniques | both)
                [ "${biasing_decoding}" != ctc_greedy ] ||
                    die "--biasing_systems ${word}: ctc_greedy has no techniques:" \
                        "set --biasing_decoding ctc_beam or espnet"
                ;;
            adapter) ;;
            *) die "--biasing_systems ${word}: must be of: base techniques adapter both" ;;
        esac
        [ "${word}" = techniques ] || [ -n "${adapter_exp}" ] ||
            die "--biasing_systems ${word} needs an adapter: set --adapter_config (stage" \
                "16 trains it), or --adapter_exp of one that is trained"
    done
    [ -z "${biasing_techniques}" ] || [ "${biasing_decoding}" = ctc_beam ] ||
        die "--biasing_techniques goes with --biasing_decoding ctc_beam"
    [ -z "${adapter_train_set}" ] || [ -n "${adapter_config}" ] ||
        die "--adapter_train_set ${adapter_train_set}: it trains an adapter: set" \
            "--adapter_config"
    for word in adapter_config biasing_techniques; do
        [ -z "${!word}" ] || [ -e "${!word}" ] || die "--${word} ${!word}: no such file"
    done
    "${skip_eval}" || ! in_range 17 || [[ " ${skip_stages} " == *" 17 "* ]] ||
        _check_names_decoding
}

# _names_lists: the lists of a set and seed, such as 100 and 100.without.
_names_lists() {
    local size
    for size in ${biasing_sizes}; do echo "${size}"; done
    for size in ${biasing_without}; do echo "${size}.without"; done
}

stage_15() {
    local dset seed name options command
    # shellcheck disable=SC2206
    command=(${python} -m espnet_dynlook.recipe.set_lists)
    [ ! -x local/biasing_lists.sh ] || command=(local/biasing_lists.sh)
    mkdir -p "${biasing_dir}"
    for dset in ${biasing_sets}; do
        for seed in ${biasing_seeds}; do
            for name in $(_names_lists); do
                # What is rare is counted before speed perturbation.
                options=(--text "${data_feats}/${dset}/text"
                    --train_text "data/${data_sets%% *}/text"
                    --distractors "${name%.without}" --seed "${seed}"
                    --output "${biasing_dir}/${dset}.${name}.${seed}.tsv")
                [[ "${name}" != *.without ]] || options+=(--without_true)
                # shellcheck disable=SC2086
                python="${python}" local_data_opts="${local_data_opts}" \
                    "${command[@]}" "${options[@]}" ${biasing_list_opts}
            done
        done
    done
}

stage_16() {
    local asr_config=${adapter_config} fold=$((asr_speech_fold_length * 100))
    local adapter_stats_dir adapter_train_dir
    if [ -z "${adapter_config}" ]; then
        log "Without --adapter_config there is no adapter to train"
        return 0
    fi
    [ "${feats_type}" = raw ] || fold=${asr_speech_fold_length}
    name_asr_model
    adapter_data
    [ -e "${adapter_stats_dir}/train/text_shape.${token_type}" ] ||
        die "${adapter_stats_dir} has no statistics of ${adapter_train_dir}: run stage 10" \
            "with the same --adapter_train_set"
    train_dir=${adapter_train_dir} _asr_options
    asr_options+=(
        --model_conf "base_config=${asr_exp}/config.yaml"
        --model_conf "base_model=${asr_exp}/${inference_asr_model}"
        --train_shape_file "${adapter_stats_dir}/train/speech_shape"
        --train_shape_file "${adapter_stats_dir}/train/text_shape.${token_type}"
        --valid_shape_file "${adapter_stats_dir}/valid/speech_shape"
        --valid_shape_file "${adapter_stats_dir}/valid/text_shape.${token_type}"
        --fold_length "${fold}" --fold_length "${asr_text_fold_length}"
        --resume true --output_dir "${adapter_exp}"
    )
    stop_if_live "${adapter_exp}"
    write_run_script "${adapter_exp}" 16
    # shellcheck disable=SC2086
    run_training "${adapter_exp}" ${python} -m espnet_dynlook.bin.asr_train \
        "${asr_options[@]}" ${adapter_args}
}

# short_tag_of ARGUMENTS: what they add to a name; of paths in them the last part alone.
short_tag_of() {
    tag_of "$(sed -E -e 's#/+( |$)#\1#g' -e 's#[^ =]*/##g' <<<"$1")"
}

# names_folder: where stage 17 decodes into. Its name has whatever two runs may differ in,
# so that neither overwrites what the other found.
names_folder() {
    local tag adapter lists
    if [ -n "${biasing_tag}" ]; then
        echo "${asr_exp}/${biasing_tag}"
        return 0
    fi
    tag="names_${biasing_decoding}$(short_tag_of "${biasing_args}")"
    ! "${use_streaming}" || tag+=_streaming
    lists=$(basename "${biasing_dir}")
    [ "${lists}" = biasing ] || tag+="_${lists#biasing_}"
    [ -z "${biasing_techniques}" ] ||
        tag+="_$(basename "${biasing_techniques}" .yaml)"
    if [ -n "${adapter_exp}" ]; then
        adapter=$(basename "${adapter_exp}")
        tag+="_${adapter#"$(basename "${asr_exp}")_"}_scale${adapter_scale}"
        [ "${inference_adapter_model}" = valid.loss.ave.pth ] ||
            tag+="_${inference_adapter_model%.pth}"
    fi
    if "${use_lm}" && [ "${biasing_decoding}" = espnet ]; then
        tag+="_lm_$(basename "${lm_exp}")_${inference_lm%.pth}"
    fi
    if "${use_ngram}" && [ "${biasing_decoding}" != ctc_greedy ]; then
        name_ngram
        tag+="_ngram_$(basename "${ngram_exp}")_${inference_ngram%.*}"
    fi
    name_asr_model
    echo "${asr_exp}/${tag}_asr_model_${inference_asr_model%.*}"
}

# _system_options SYSTEM: system_options, what it adds to the command line.
_system_options() {
    system_options=(--decoding "${biasing_decoding}")
    if "${use_streaming}" && [ "${biasing_decoding}" = ctc_beam ]; then
        system_options=(--decoding beam) # as the streaming command calls it
    fi
    if [ "${biasing_decoding}" = espnet ] && "${use_lm}"; then
        system_options+=(--lm_train_config "${lm_exp}/config.yaml"
            --lm_file "${lm_exp}/${inference_lm}")
    fi
    if [ "${biasing_decoding}" != ctc_greedy ] && "${use_ngram}"; then
        name_ngram
        system_options+=("${ngram_option}" "${ngram_exp}/${inference_ngram}")
    fi
    if [[ "$1" = adapter || "$1" = both ]]; then
        [ -e "${adapter_exp}/${inference_adapter_model}" ] ||
            die "${adapter_exp}/${inference_adapter_model} does not exist: run stage 16" \
                "to its end, or set --inference_adapter_model"
        system_options+=(--adapter_train_config "${adapter_exp}/config.yaml"
            --adapter_model_file "${adapter_exp}/${inference_adapter_model}"
            --adapter_scale "${adapter_scale}")
    fi
    case "$1,${biasing_decoding}" in
        adapter,ctc_beam) system_options+=(--techniques none) ;;
        adapter,espnet) system_options+=(--biasing_bonus 0) ;;
        *,ctc_beam)
            [ -z "${biasing_techniques}" ] ||
                system_options+=(--techniques "${biasing_techniques}")
            ;;
    esac
}

stage_17() {
    local folder system dset seed name system_options lists encoder
    folder=$(names_folder)
    name_asr_model
    if "${use_streaming}"; then
        encoder=$(awk '$1 == "encoder:" { print $2; exit }' "${asr_exp}/config.yaml")
        [[ "${encoder}" = dynlook_* ]] ||
            die "--use_streaming true: names are streamed with encoder dynlook_conformer" \
                "or dynlook_transformer, and ${asr_exp} has ${encoder}: give" \
                "--use_streaming false"
    fi
    write_run_script "${folder}" 17
    for system in $(names_systems); do
        _system_options "${system}"
        for dset in ${biasing_sets}; do
            if [ "${system}" = base ]; then
                # shellcheck disable=SC2086
                decode_set "${folder}/base/${dset}" "${dset}" \
                    "${system_options[@]}" ${biasing_args}
                continue
            fi
            for seed in ${biasing_seeds}; do
                for name in $(_names_lists); do
                    lists="${biasing_dir}/${dset}.${name}.${seed}.tsv"
                    [ -e "${lists}" ] || die "${lists} does not exist: run stage 15"
                    # shellcheck disable=SC2086
                    decode_set "${folder}/${system}/${dset}.${name}.${seed}" \
                        "${dset}" --biasing_lists "${lists}" "${system_options[@]}" \
                        ${biasing_args}
                done
            done
        done
    done
}

stage_18() {
    local folder command=${run_command% }
    folder=$(names_folder)
    [ -z "${DYNLOOK_DATA:-}" ] || command=${command//"${DYNLOOK_DATA%/}"/\$DYNLOOK_DATA}
    # shellcheck disable=SC2046,SC2086
    ${python} -m espnet_dynlook.recipe.names_results "${folder}" \
        --lists "${biasing_dir}" --sets ${biasing_sets} --seeds ${biasing_seeds} \
        --names $(_names_lists) --systems $(names_systems) \
        --asr_train_config "${asr_exp}/config.yaml" --command "${command}"
    # shellcheck disable=SC2086
    ${python} -m espnet_dynlook.recipe.results "${asr_exp}"
}
