# Frames and msgpack for host.sh: a frame is a length of 4 bytes and one map.
#
# bash keeps no NUL bytes in variables. So numbers are read byte by byte, where `read` with an
# empty delimiter gives an empty text for a NUL; strings have none; and `bin` goes through files.
# `read` takes no byte more from a pipe than it is asked for, and neither do `head -c` and `cat`.

declare -A FIELDS

# receive: the next message, its fields in FIELDS, the event in a file, the variables of `env` set.
# Gives 1 at the end of file.
receive() {
    local count i key value
    FIELDS=()
    _take_number 4 || return
    _take_byte
    case $NUMBER in
    222) _take_number 2 ;;
    223) _take_number 4 ;;
    *) NUMBER=$((NUMBER & 15)) ;;
    esac
    count=$NUMBER
    for ((i = 0; i < count; i++)); do
        _take_value || return
        key=$VALUE
        case $key in
        event) _take_bin_head && head -c "$NUMBER" <&3 >"$_SCRATCH/event" ;;
        env) _take_variables ;;
        *)
            _take_value || return
            value=$VALUE
            FIELDS[$key]=$value
            ;;
        esac
    done
}

# send: one frame with the body on standard input, which is a file.
send() {
    local size
    size=$(stat -L -c %s /dev/stdin)
    {
        _big_endian 4 "$size"
        cat
    } >&4
}

pack_map() { printf "\\x8$1"; }
pack_false() { printf '\xc2'; }
pack_int() { printf '\xce' && _big_endian 4 "$1"; }
pack_bin_head() { printf '\xc6' && _big_endian 4 "$1"; }
pack_key() { pack_string "$1"; }
pack_pair() { pack_string "$1" && pack_string "$2"; }
pack_string() { printf '\xdb' && _big_endian 4 "$(byte_count "$1")" && printf %s "$1"; }

byte_count() {
    local LC_ALL=C
    printf %d "${#1}"
}

# _big_endian SIZE NUMBER
_big_endian() {
    local i escaped=''
    for ((i = $1 - 1; i >= 0; i--)); do
        printf -v escaped '%s\\x%02x' "$escaped" $((($2 >> 8 * i) & 255))
    done
    printf "$escaped"
}

# _take_byte: the next byte, as NUMBER.
_take_byte() {
    local LC_ALL=C char
    IFS= read -r -d '' -n 1 char <&3 || return
    printf -v NUMBER %d "'$char"
    ((NUMBER &= 255)) || true
}

# _take_number SIZE: a big-endian number, as NUMBER.
_take_number() {
    local total=0 i
    for ((i = 0; i < $1; i++)); do
        _take_byte || return
        total=$((total << 8 | NUMBER))
    done
    NUMBER=$total
}

_take_bin_head() {
    _take_byte || return
    case $NUMBER in
    196) _take_number 1 ;;
    197) _take_number 2 ;;
    *) _take_number 4 ;;
    esac
}

# _take_value: a string, number, truth value or nil, as VALUE; arrays and maps are passed over.
_take_value() {
    _take_byte || return
    local tag=$NUMBER i
    VALUE=''
    case $tag in
    192) ;;
    194 | 195) VALUE=$((tag & 1)) ;;
    204) _take_number 1 && VALUE=$NUMBER ;;
    205) _take_number 2 && VALUE=$NUMBER ;;
    206) _take_number 4 && VALUE=$NUMBER ;;
    207 | 211) _take_number 8 && VALUE=$NUMBER ;;
    208) _take_signed 1 ;;
    209) _take_signed 2 ;;
    210) _take_signed 4 ;;
    196 | 217) _take_number 1 && _take_text ;;
    197 | 218) _take_number 2 && _take_text ;;
    198 | 219) _take_number 4 && _take_text ;;
    220) _take_number 2 && _pass_over "$NUMBER" ;;
    221) _take_number 4 && _pass_over "$NUMBER" ;;
    222) _take_number 2 && _pass_over $((NUMBER * 2)) ;;
    223) _take_number 4 && _pass_over $((NUMBER * 2)) ;;
    *) _take_small "$tag" ;;
    esac
}

# _take_small TAG: what is in the tag itself, or as long as it says.
_take_small() {
    local tag=$1
    if ((tag < 128)); then
        VALUE=$tag
    elif ((tag < 144)); then
        _pass_over $(((tag & 15) * 2))
    elif ((tag < 160)); then
        _pass_over $((tag & 15))
    elif ((tag < 192)); then
        NUMBER=$((tag & 31)) && _take_text
    else
        VALUE=$((tag - 256))
    fi
}

_take_signed() {
    _take_number "$1" && VALUE=$((NUMBER - (NUMBER >> (8 * $1 - 1)) * (1 << 8 * $1)))
}

# _take_text: as many bytes as NUMBER says.
_take_text() {
    local LC_ALL=C
    VALUE=''
    ((NUMBER == 0)) || IFS= read -r -d '' -N "$NUMBER" VALUE <&3
}

_pass_over() {
    local i
    for ((i = 0; i < $1; i++)); do
        _take_value || return
    done
    VALUE=''
}

# _take_variables: a map of strings, into the environment.
_take_variables() {
    local count i name
    _take_byte || return
    case $NUMBER in
    222) _take_number 2 ;;
    223) _take_number 4 ;;
    *) NUMBER=$((NUMBER & 15)) ;;
    esac
    count=$NUMBER
    for ((i = 0; i < count; i++)); do
        _take_value || return
        name=$VALUE
        _take_value || return
        export "$name=$VALUE"
    done
}
