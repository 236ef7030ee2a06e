; A guest that notices short stalls: about a thousand times a second it writes a sector of its disk, waits until that is
; done, and sends a dot down COM1. One boot sector, assembled when the benchmark runs.

        cpu     386
        bits    16
        org     0x7C00

COM1            equ 0x3F8
LINE_STATUS     equ COM1 + 5
EMPTY           equ 0x20
PIT_CHANNEL     equ 0x40
PIT_COMMAND     equ 0x43
BUFFER          equ 0x7E00
LBA             equ 64

start:  xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7C00
        mov     al, 0x36            ; channel 0, low and high byte, square wave
        out     PIT_COMMAND, al
        mov     ax, 1193            ; of 1193182 a second
        out     PIT_CHANNEL, al
        mov     al, ah
        out     PIT_CHANNEL, al
        mov     dx, COM1 + 3
        mov     al, 3               ; 8N1
        out     dx, al

tick:   sti
        hlt
        inc     dword [BUFFER]
        mov     si, packet
        mov     dl, 0x80
        mov     ax, 0x4300
        int     0x13
        mov     ah, '.'
        jnc     .tell
        mov     ah, '!'
.tell:  mov     dx, LINE_STATUS
.wait:  in      al, dx
        test    al, EMPTY
        jz      .wait
        mov     dx, COM1
        mov     al, ah
        out     dx, al
        jmp     tick

packet: db      16, 0
        dw      1, BUFFER, 0
        dq      LBA

        times   510 - ($ - $$) db 0
        dw      0xAA55
