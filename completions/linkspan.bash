# SPDX-License-Identifier: Apache-2.0
# bash completion for linkspan(1): linkspan itself says what could come next.

_linkspan() {
    local word about current=${COMP_WORDS[COMP_CWORD]} words=()
    # To bash a = is a word of its own, and linkspan reads --key value as it reads --key=value.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        [[ $word == = ]] || words+=("$word")
    done
    if [[ $current == = ]]; then
        current=
        words+=("")
    fi
    COMPREPLY=()
    while IFS=$'\t' read -r word about; do
        case $word in
        :*)
            compopt -o filenames 2>/dev/null
            [[ $word == :folders ]] || while IFS= read -r about; do
                [[ $word == :config* && $about != *.yaml && $about != *.yml ]] || COMPREPLY+=("$about")
            done < <(compgen -f -- "$current")
            [[ $word == :files ]] || while IFS= read -r about; do
                COMPREPLY+=("$about")
            done < <(compgen -d -- "$current")
            ;;
        *) COMPREPLY+=("$word") ;;
        esac
    done < <("${COMP_WORDS[0]/#\~/$HOME}" complete -- "${words[@]}" 2>/dev/null)
} && complete -F _linkspan linkspan
