# SPDX-License-Identifier: Apache-2.0
# fish completion for linkspan(1): linkspan itself says what could come next.

function __linkspan_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for line in ($program complete -- $words "$current" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path "$current"
            case ':folders'
                __fish_complete_directories "$current" ''
            case ':config*'
                __fish_complete_directories "$current" ''
                for file in (__fish_complete_path "$current")
                    string match -q -r '\.ya?ml(\t|$)' -- $file; and echo $file
                end
            case '*'
                echo $line
        end
    end
end

complete -c linkspan -f -a '(__linkspan_complete)'
