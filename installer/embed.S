/*
 * Files that the program carries: the lists of images/ and the YAML of addons/. Each one lies
 * between SYMBOL and SYMBOL_end; imageset.c has the table. Paths are relative to the project's
 * root, where make runs.
 */
.macro embed symbol, path
    .global \symbol
    .global \symbol\()_end
    \symbol:
    .incbin "\path"
    \symbol\()_end:
    .byte 0
.endm

    .section .rodata
    embed embed_list_default, "images/default.list"
    embed embed_list_2019_original, "images/2019-original.list"
    embed embed_list_current, "images/current.list"

    .section .note.GNU-stack, "", %progbits
