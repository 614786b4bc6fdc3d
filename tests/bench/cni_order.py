#!/usr/bin/env python3
"""Writes a linker script that puts what a call runs together at the front of a program.

usage: cni_order.py MAP CALLGRIND... >cni/order.ld

MAP is the linker's map of a program that was linked without such a script, each CALLGRIND what callgrind
(--dump-instr=yes --compress-strings=no --compress-pos=no) wrote about a call of it, the usual one first:
what only a later one runs comes behind. The unit is an object of a library, since Debian's libraries have
one section of code in each.
"""

import bisect
import re
import sys

# Objects of which a call reads tables or texts, but runs nothing: an order by what is run does not
# know of them. Found with valgrind's lackey (--trace-mem=yes).
READ = {
    "libc.a": """C-ctype C-numeric C-time dcigettext dl-error errlist-data execvpe files-hosts fpioconst
        getpwuid_r itoa-digits mktime nss_database tens_in_limb varshift""",
    "libcrypto.a": """libcrypto-lib-asn1_parse libcrypto-lib-baseprov libcrypto-lib-c_alld
        libcrypto-lib-cmp_util libcrypto-lib-conf_def libcrypto-lib-d2i_pr libcrypto-lib-dh_ameth
        libcrypto-lib-eck_prn libcrypto-lib-ecp_nistp224 libcrypto-lib-ecx_meth
        libcrypto-lib-ffc_dh libcrypto-lib-http_client libcrypto-lib-info libcrypto-lib-p12_key
        libcrypto-lib-pem_info libcrypto-lib-provider_predefined
        libcrypto-lib-rsa_ameth libcrypto-lib-rsa_lib libcrypto-lib-rsa_ossl libcrypto-lib-store_register
        libcrypto-lib-x509_trust libdefault-lib-encode_key2text
        libdefault-lib-file_store_any2obj""",
    "libcurl.a": "libcurl_la-http_aws_sigv4 libcurl_la-http_proxy libcurl_la-rand libcurl_la-socks "
    "libcurl_la-strerror",
    "libcares.a": "libcares_la-ares_getaddrinfo",
    "libevent.a": "http",
    "libnghttp2.a": "nghttp2_hd nghttp2_helper nghttp2_session",
    "libssl.a": "libssl-lib-ktls",
}

# The benchmark's kubeconfig names its CA by a file, others hold it. valgrind shows a program neither the
# vDSO nor a processor with AVX-512, for which glibc has functions of its own.
UNSEEN = {"libcrypto.a:libcrypto-lib-encode.o", "libc.a:dl-lookup.o", "libc.a:dl-object.o",
          "libc.a:dl-setup_hash.o", "libc.a:mpn2dbl.o"}
WIDER = ("avx512", "evex")

HEAD = """/*
 * What an ADD runs, in front of all that it does not run, so that little of the program gets into
 * memory: the kernel maps 16 pages around each that is touched. Made by `tests/bench/cni.sh order`.
 * A name that a library no longer has does no harm, and what is missing here only stays where it is.
 */
"""


def code_of(map_path: str) -> list[tuple[int, int, str]]:
    """Address, size and archive:object of each section of code."""
    found, name = [], ""
    for line in open(map_path, encoding="utf-8"):
        alone = re.match(r" (\.[\w.$-]+)$", line)
        part = re.match(r" (\.[\w.$-]+)? +0x([0-9a-f]{16}) +0x([0-9a-f]+) (\S+)$", line)
        if alone:
            name = alone[1]
        if part and (part[1] or name).startswith(".text"):
            path = part[4].rsplit("/", 1)[-1]
            found.append((int(part[2], 16), int(part[3], 16), re.sub(r"\((.*)\)$", r":\1", path)))
    return sorted(s for s in found if s[0] and s[1])


def addresses_run(callgrind_path: str) -> set[int]:
    """Those of functions with a name; what has none is the linker's, at addresses of another kind."""
    run, is_named = set(), False
    for line in open(callgrind_path, encoding="utf-8"):
        if line.startswith("fn="):
            is_named = not line.startswith(("fn=0x", "fn=???"))
        elif line.startswith("0x") and is_named:
            run.add(int(line.split()[0], 16))
    return run


def objects_run(code: list[tuple[int, int, str]], run: set[int]) -> set[str]:
    starts, names = [s[0] for s in code], set()
    for address in run:
        start, size, name = code[bisect.bisect_right(starts, address) - 1]
        if start <= address < start + size:
            names.add(name)
    return names


def patterns(names: set[str]) -> list[str]:
    """Of libraries' objects; our own, whose functions come and go, as a whole; and the first step."""
    out = {"*" + name for name in names if ".a:" in name} | {"*static-macvlan-cni.o", "*crt1.o"}
    for name in names:
        kind = re.match(r"(libc\.a:\w+)-(avx|sse)", name)
        if kind:
            out |= {f"*{kind[1]}-{wider}*.o" for wider in WIDER}
    return sorted(out)


def section(name: str, before: str, inputs: str, files: list[str]) -> str:
    lines = "".join(f"        {file}({inputs})\n" for file in files)
    return f"SECTIONS {{\n    {name} : {{\n{lines}    }}\n}} INSERT BEFORE {before};\n"


def main() -> int:
    code = code_of(sys.argv[1])
    calls = [objects_run(code, addresses_run(path)) for path in sys.argv[2:]]
    read = {f"{lib}:{name}.o" for lib, text in READ.items() for name in text.split()}
    if min(len(names) for names in calls) < 100:
        print("cni_order: that was no call that this program made", file=sys.stderr)
        return 1
    calls[0] |= UNSEEN
    files, data = [], []
    for names in calls:
        files += [file for file in patterns(names) if file not in files]
        data += [file for file in patterns(names | read) if file not in data]
    sys.stdout.write(HEAD)
    sys.stdout.write(section(".text.hot", ".text", ".text .text.*", files))
    sys.stdout.write(section(".rodata.hot", ".rodata", ".rodata .rodata.*", data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
