# Completion of xe in bash. To have it in every shell, put this line into ~/.bashrc, with the right path:
#   . /path/to/stillframe/resources/completion/xe.bash

_xe() {
    mapfile -t COMPREPLY < <("${1/#\~/$HOME}" --complete bash "${COMP_LINE:0:COMP_POINT}" 2> /dev/null)
}
complete -o nospace -F _xe xe
