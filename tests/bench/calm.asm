; A guest that hardly needs a processor, for having a hundred of them: once a second, rung by the clock chip, it counts in
; its memory; every fourth second it writes the count to its disk and says it on COM1. In between the processor halts and
; nothing else rings: channel 0 of the timer chip, which the BIOS leaves at 18 Hz, is stopped. One boot sector, assembled
; when the benchmark runs.

        cpu     386
        bits    16
        org     0x7C00

COM1            equ 0x3F8
LINE_STATUS     equ COM1 + 5
EMPTY           equ 0x20
PIT_CHANNEL     equ 0x40
PIT_COMMAND     equ 0x43
FIRST_PIC       equ 0x20
SECOND_PIC      equ 0xA0
END_OF_IRQ      equ 0x20
CMOS_INDEX      equ 0x70
CMOS_DATA       equ 0x71
CLOCK_VECTOR    equ 0x70 * 4
EACH_SECOND     equ 0x10            ; the update-ended interrupt, in the clock's register B
BUFFER          equ 0x7E00
LBA             equ 64

start:  xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7C00
        cld
        mov     di, BUFFER
        mov     cx, 256
        rep     stosw
        mov     si, hello
        call    say
        cli
        mov     al, 0x30            ; channel 0, low and high byte, one interrupt and no more
        out     PIT_COMMAND, al
        xor     al, al
        out     PIT_CHANNEL, al
        out     PIT_CHANNEL, al
        mov     word [CLOCK_VECTOR], second
        mov     word [CLOCK_VECTOR + 2], 0
        in      al, FIRST_PIC + 1
        or      al, 0x01            ; no timer
        and     al, 0xFB            ; the second chip
        out     FIRST_PIC + 1, al
        in      al, SECOND_PIC + 1
        and     al, 0xFE            ; the clock
        out     SECOND_PIC + 1, al
        mov     al, 0x0B
        out     CMOS_INDEX, al
        in      al, CMOS_DATA
        or      al, EACH_SECOND
        mov     ah, al
        mov     al, 0x0B
        out     CMOS_INDEX, al
        mov     al, ah
        out     CMOS_DATA, al
        call    heard

rest:   cli                         ; a second between the test and hlt must not be slept through
        cmp     byte [rang], 0
        jne     count
        sti
        hlt
        jmp     rest
count:  mov     byte [rang], 0
        sti
        inc     dword [BUFFER]
        test    byte [BUFFER], 3
        jnz     rest
        mov     si, packet
        mov     dl, 0x80
        mov     ax, 0x4300
        int     0x13
        mov     si, failed
        jc      .tell
        mov     eax, [BUFFER]
        mov     di, digits
        mov     cx, 8
.digit: rol     eax, 4
        mov     bx, ax
        and     bx, 0x0F
        mov     bl, [hexadecimal + bx]
        mov     [di], bl
        inc     di
        loop    .digit
        mov     si, line
.tell:  call    say
        jmp     rest

second: push    ax
        mov     byte [rang], 1
        call    heard
        mov     al, END_OF_IRQ
        out     SECOND_PIC, al
        out     FIRST_PIC, al
        pop     ax
        iret

; The clock rings again only once its register C was read.
heard:  mov     al, 0x0C
        out     CMOS_INDEX, al
        in      al, CMOS_DATA
        ret

; SI = zero-terminated text.
say:    lodsb
        test    al, al
        jz      .said
        mov     ah, al
        mov     dx, LINE_STATUS
.wait:  in      al, dx
        test    al, EMPTY
        jz      .wait
        mov     dx, COM1
        mov     al, ah
        out     dx, al
        jmp     say
.said:  ret

hello:  db      "calm", 13, 10, 0
failed: db      "error", 13, 10, 0
line:   db      "n="
digits: db      "00000000", 13, 10, 0
hexadecimal:
        db      "0123456789abcdef"
rang:   db      0
packet: db      16, 0
        dw      1, BUFFER, 0
        dq      LBA

        times   510 - ($ - $$) db 0
        dw      0xAA55
