# The conformance suite's functions in bash, without a program to read JSON: the suite's events have
# one form, {"case": NAME, FIELD: VALUE}.

COUNT=0

# field EVENT NAME: what JSON has for the one field.
field() {
    local LC_ALL=C rest=${1#*\""$2"\": }
    printf %s "${rest%\}}"
}

# unescaped JSON_STRING: the text of it. JSON writes what is beyond 16 bits as a pair.
unescaped() {
    local LC_ALL=C.UTF-8 text=${1#\"} made='' char high low
    local pair='^([^\\]*)\\u(d[89ab]..)\\u(d[c-f]..)(.*)$' one='^([^\\]*)\\(u....|.)(.*)$'
    text=${text%\"}
    while :; do
        if [[ $text =~ $pair ]]; then
            high=$((16#${BASH_REMATCH[2]} & 0x3ff)) low=$((16#${BASH_REMATCH[3]} & 0x3ff))
            printf -v char '\\U%08x' $((0x10000 + (high << 10) + low))
        elif [[ $text =~ $one ]]; then
            char=\\${BASH_REMATCH[2]}
        else
            break
        fi
        made+=${BASH_REMATCH[1]}
        text=${BASH_REMATCH[-1]}
        case $char in
        '\"' | '\/') made+=${char:1} ;;
        *) printf -v char %b "$char" && made+=$char ;;
        esac
    done
    printf %s "$made$text"
}

quoted() {
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    printf '"%s"' "${text//$'\n'/\\n}"
}

raw() {
    cat
}

cases() {
    local event
    event=$(cat)
    [[ $event =~ ^\{\"case\":\ \"([a-z]+)\" ]] || return
    "case_${BASH_REMATCH[1]}" "$event"
}

case_echo() { field "$1" value; }
case_null() { printf null; }
case_fail() { fail "$(unescaped "$(field "$1" message)")"; }
case_exit() { exit "$(field "$1" status)"; }
case_sleep() { sleep "$(field "$1" seconds)" && field "$1" seconds; }
case_spin() { while :; do :; done; }
case_remaining() { printf %d $((LAMBDA_DEADLINE_MS - $(date +%s%3N))); }
case_count() { printf %d $((++COUNT)); }

case_allocate() {
    local mb
    mb=$(field "$1" mb)
    printf -v TAKEN '%*s' $((mb << 20)) ''
    printf %d "$mb"
}

case_print() {
    echo "to stdout" >&2
    echo "to stderr" >&2
    echo "$LAMBDA_REQUEST_ID to the logger" >&2
    printf null
}

case_context() {
    local custom=null positive=false
    [[ $LAMBDA_CLIENT_CONTEXT =~ \"custom\":\ (\{[^\}]*\}) ]] && custom=${BASH_REMATCH[1]}
    (($(case_remaining) > 0)) && positive=true
    cat <<JSON
{"request_id": "$LAMBDA_REQUEST_ID", "function_name": "$AWS_LAMBDA_FUNCTION_NAME",
"function_version": "$AWS_LAMBDA_FUNCTION_VERSION", "invoked_function_arn": "$LAMBDA_FUNCTION_ARN",
"memory_limit_in_mb": $AWS_LAMBDA_FUNCTION_MEMORY_SIZE, "client_context": $custom,
"log_group_name": "$AWS_LAMBDA_LOG_GROUP_NAME", "log_stream_name": "$AWS_LAMBDA_LOG_STREAM_NAME",
"remaining_is_positive": $positive}
JSON
}

case_environment() {
    local name separator='{'
    for name in $(compgen -e); do
        printf '%s"%s": %s' "$separator" "$name" "$(quoted "${!name}")"
        separator=', '
    done
    printf '}'
}

case_ticks() {
    if [[ -z ${TICKER-} ]]; then
        : >/tmp/ticks
        while printf . >>/tmp/ticks; do sleep 0.01; done </dev/null >/dev/null &
        TICKER=$!
    fi
    stat -c %s /tmp/ticks
}

case_tmp() {
    local before=false
    [[ -e /tmp/seen ]] && before=true
    field "$1" value >/tmp/seen
    printf '{"read": %s, "before": %s}' "$(cat /tmp/seen)" "$before"
}

case_cwd() {
    local listed=false
    [[ -e marker.txt ]] && listed=true
    printf '{"cwd": "%s", "listed": %s}' "$PWD" "$listed"
}

case_child() {
    /bin/echo "from a child" >&2
    printf %d $?
}

# A shell asks by name for each descriptor: listing them would open one.
case_pid() {
    local asking='n=0; for fd in 3 4 5; do [ -e /proc/$$/fd/$fd ] && n=$((n + 1)); done; echo $n'
    printf '{"pid": %d, "inherited": %d}' $$ "$(/bin/sh -c "$asking")"
}
