#!/bin/bash
# The host for functions in bash: all of ../PROTOCOL.md for a spare, as an example to read.
#
# A handler is a shell function. It reads the event on its standard input and writes the result to
# its standard output; what it has to say goes to standard error, which is the log. It runs in this
# very shell, so its variables last. It fails by a status other than 0, after `fail MESSAGE [TYPE]`
# if it has something to say. LAMBDA_REQUEST_ID, LAMBDA_DEADLINE_MS, LAMBDA_FUNCTION_ARN and
# LAMBDA_CLIENT_CONTEXT are what other languages call the context.

_HOST_FOLDER=${BASH_SOURCE[0]%/*}
# shellcheck source=msgpack.sh
source "$_HOST_FOLDER/msgpack.sh"

# fail MESSAGE [TYPE]: say what goes wrong. Gives 1, for `fail "…" || return`.
fail() {
    _FAULT_MESSAGE=$1
    _FAULT_TYPE=${2:-HandlerFailed}
    return 1
}

# _json TEXT: the text as a string of JSON.
_json() {
    local LC_ALL=C text=$1 made='' char i
    for ((i = 0; i < ${#text}; i++)); do
        char=${text:i:1}
        case $char in
        '"' | \\) made+="\\$char" ;;
        [$'\x01'-$'\x1f']) printf -v char '\\u%04x' "'$char" && made+=$char ;;
        *) made+=$char ;;
        esac
    done
    printf '"%s"' "$made"
}

# _report ID TYPE MESSAGE: an `error`, and a line in the log.
_report() {
    local payload
    payload="{\"errorType\": $(_json "$2"), \"errorMessage\": $(_json "$3")}"
    printf '[ERROR] %s: %s\n' "$2" "$3" >&2
    {
        pack_map 4
        pack_pair kind error
        pack_pair id "$1"
        pack_pair type "$2"
        pack_key payload
        pack_bin_head "$(byte_count "$payload")"
        printf %s "$payload"
    } >"$_SCRATCH/reply"
    send <"$_SCRATCH/reply"
}

# _find HANDLER: its file, as _PATH, or report why not and end.
_find() {
    local file=${1%.*} name=${1##*.} said
    _PATH=$LAMBDA_TASK_ROOT/$file.sh
    _FILE_NAME=$file.sh
    _HANDLER_NAME=$name
    if [[ $1 != *.* || -z $file || -z $name ]]; then
        _give_up Runtime.MalformedHandlerName "Bad handler '$1'"
    elif [[ ! -f $_PATH ]]; then
        _give_up Runtime.ImportModuleError "There is no file '$_FILE_NAME'"
    fi
    said=$("$BASH" -n "$_PATH" 2>&1) ||
        _give_up Runtime.UserCodeSyntaxError "${said//"$_PATH"/$_FILE_NAME}"
}

# _check STATUS: whether its file, which gave this status, has the function.
_check() {
    if (($1)); then
        _give_up "${_FAULT_TYPE-LoadFailed}" "${_FAULT_MESSAGE-$_FILE_NAME gives the status $1}"
    elif ! declare -F "$_HANDLER_NAME" >/dev/null; then
        _give_up Runtime.HandlerNotFound "Function '$_HANDLER_NAME' missing in '$_FILE_NAME'"
    fi
}

_give_up() {
    _report '' "$1" "$2"
    exit 1
}

# _invoke: run the handler on the event in the scratch folder, and answer.
_invoke() {
    export LAMBDA_REQUEST_ID=${FIELDS[id]} LAMBDA_DEADLINE_MS=${FIELDS[deadline_ms]}
    export LAMBDA_FUNCTION_ARN=${FIELDS[arn]} LAMBDA_CLIENT_CONTEXT=${FIELDS[client_context]-}
    if [[ -n ${FIELDS[trace_id]-} ]]; then
        export _X_AMZN_TRACE_ID=${FIELDS[trace_id]}
    fi
    unset _FAULT_MESSAGE _FAULT_TYPE
    # What it starts must not have the descriptors of the protocol.
    "$_HANDLER_NAME" <"$_SCRATCH/event" >"$_SCRATCH/result" 3<&- 4>&-
    local status=$?
    if ((status)); then
        _report "$LAMBDA_REQUEST_ID" "${_FAULT_TYPE-HandlerFailed}" \
            "${_FAULT_MESSAGE-the handler gives the status $status}"
        return
    fi
    {
        pack_map 3
        pack_pair kind result
        pack_pair id "$LAMBDA_REQUEST_ID"
        pack_key payload
        pack_bin_head "$(stat -c %s "$_SCRATCH/result")"
        cat "$_SCRATCH/result"
    } >"$_SCRATCH/reply"
    send <"$_SCRATCH/reply"
}

# _say KIND: `ready` or `loaded`.
_say() {
    if [[ $1 == ready ]]; then
        pack_map 3
        pack_pair kind ready
        pack_key protocol
        pack_int 1
        pack_key pid
        pack_int $$
    else
        pack_map 3
        pack_pair kind loaded
        pack_key forkable
        pack_false
        pack_pair why 'it is a spare'
    fi >"$_SCRATCH/reply"
    send <"$_SCRATCH/reply"
}

# Named anew for each process: instances may share /tmp. Nothing of it is left at the end.
_SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/.host-XXXXXXXX") || exit 1
trap 'rm -rf "$_SCRATCH"' EXIT
_say ready
receive && [[ ${FIELDS[kind]} == init ]] || exit 0
_find "${FIELDS[handler]}"
# Not in a function, where what it declares would be gone at the end.
# shellcheck source=/dev/null
source "$_PATH" </dev/null 3<&- 4>&-
_check $?
_say loaded
while receive && [[ ${FIELDS[kind]} == invoke ]]; do
    _invoke
done
exit 0
