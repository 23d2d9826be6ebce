# Seal: the SHA-256 of the invoice, byte by byte as it came.

handler() {
    local sum
    sum=$(sha256sum) || return
    printf '{"seal": "sha256:%s"}\n' "${sum%% *}"
}
