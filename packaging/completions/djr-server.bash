# Completion of djr-server for bash.
_djr_server() {
    local word=${COMP_WORDS[COMP_CWORD]}
    case $word in
    --*) mapfile -t COMPREPLY < <(compgen -W "--help --version --aof-repair @DIRECTIVES@" -- "$word") ;;
    -*) mapfile -t COMPREPLY < <(compgen -W "-h -v --help --version" -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$word"; ((COMP_CWORD == 1)) && compgen -W "check-rdb" -- "$word") ;;
    esac
}
complete -o filenames -F _djr_server djr-server
