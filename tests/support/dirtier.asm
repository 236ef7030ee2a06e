; A guest that never stops writing to its memory: it fills seven tenths with noise, then touches each page of the lower
; half again and again. A thousand times a second it sends a dot down COM1; "R" once the memory is filled.

        cpu     386
        bits    16
        org     0x7C00

COM1            equ 0x3F8
PIT_CHANNEL     equ 0x40
PIT_COMMAND     equ 0x43
PIC             equ 0x20
END_OF_INTERRUPT equ 0x20
IDT             equ 0x1000
TIMER           equ 8               ; where the BIOS has put it
FIRST           equ 0x200000

start:  cli
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7C00
        mov     ax, 0xE801          ; BX: memory above 16 MiB, in units of 64 KiB
        int     0x15
        cli
        movzx   ebx, bx
        shl     ebx, 16
        add     ebx, 16 << 20
        mov     [top], ebx
        mov     al, 0x36            ; channel 0, low and high byte, square wave
        out     PIT_COMMAND, al
        mov     ax, 1193            ; of 1193182 a second
        out     PIT_CHANNEL, al
        mov     al, ah
        out     PIT_CHANNEL, al
        lgdt    [gdt_register]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     8:flat

        bits    32
flat:   mov     ax, 16
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     esp, 0x7C00
        mov     eax, timer
        mov     [IDT + TIMER * 8], ax
        mov     word [IDT + TIMER * 8 + 2], 8
        mov     word [IDT + TIMER * 8 + 4], 0x8E00
        mov     word [IDT + TIMER * 8 + 6], 0
        lidt    [idt_register]
        mov     al, 0xFE            ; the timer alone
        out     PIC + 1, al
        mov     al, 0xFF
        out     0xA1, al
        sti

        mov     eax, [top]
        mov     ecx, 10
        xor     edx, edx
        div     ecx
        imul    eax, 7
        sub     eax, FIRST
        mov     ecx, eax
        shr     ecx, 2
        mov     edi, FIRST
        mov     eax, 0x9E3779B9     ; xorshift: noise that no compressor makes smaller
noise:  mov     edx, eax
        shl     edx, 13
        xor     eax, edx
        mov     edx, eax
        shr     edx, 17
        xor     eax, edx
        mov     edx, eax
        shl     edx, 5
        xor     eax, edx
        stosd
        loop    noise
        mov     byte [sign], 'R'

again:  mov     edi, FIRST
        mov     ebx, [top]
        shr     ebx, 1
touch:  inc     dword [edi]
        add     edi, 4096
        cmp     edi, ebx
        jb      touch
        jmp     again

timer:  push    eax
        push    edx
        mov     dx, COM1
        mov     al, [sign]
        out     dx, al
        mov     byte [sign], '.'
        mov     al, END_OF_INTERRUPT
        out     PIC, al
        pop     edx
        pop     eax
        iretd

sign:   db      '.'
top:    dd      0
gdt:    dq      0
        dq      0x00CF9A000000FFFF  ; code
        dq      0x00CF92000000FFFF  ; data
gdt_register:
        dw      23
        dd      gdt
idt_register:
        dw      (TIMER + 1) * 8 - 1
        dd      IDT

        times   510 - ($ - $$) db 0
        dw      0xAA55
