; Boots Linux from the first sector of a disk: copies the parts named in a table to memory, then enters the kernel.
; linux_guest.py lays the disk out and fills the table in; it also prepares the kernel's setup header, so that nothing is
; decided here. Protocol: Documentation/arch/x86/boot.rst of the Linux kernel.
;
;   nasm -f bin -o linux_loader.bin linux_loader.asm

        cpu     386
        bits    16
        org     0x7C00

LOW             equ 0x1000          ; segment of the setup code, its heap and the command line: one read
LOW_SECTORS     equ 120
BUFFER          equ 0x2000          ; segment
CHUNK           equ 64              ; sectors, 32 KiB

start:  xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7C00
        cld
        sti
        jmp     0:.here
.here:  mov     [disk], dl
        mov     word [packet.segment], LOW
        mov     word [packet.count], LOW_SECTORS
        mov     dword [packet.sector], 1
        call    read
        mov     word [packet.segment], BUFFER
        mov     bp, parts
.part:  mov     eax, [bp]           ; first sector, sectors, address
        mov     [packet.sector], eax
        mov     ecx, [bp + 4]
        mov     ebx, [bp + 8]
.chunk: jecxz   .next
        mov     eax, CHUNK
        cmp     ecx, eax
        jae     .whole
        mov     eax, ecx
.whole: sub     ecx, eax
        mov     [packet.count], ax
        call    read
        call    lift
        add     [packet.sector], eax
        shl     eax, 9
        add     ebx, eax
        jmp     .chunk
.next:  add     bp, 12
        cmp     bp, parts_end
        jb      .part

        mov     ax, LOW
        cli
        mov     ds, ax
        mov     es, ax
        mov     fs, ax
        mov     gs, ax
        mov     ss, ax
        mov     sp, 0xE000
        jmp     LOW + 0x20:0

read:   pushad
        mov     ah, 0x42
        mov     dl, [disk]
        mov     si, packet
        int     0x13
        popad
        jc      fail
        ret

; Copies the sectors just read (AX of them) from the buffer to address EBX.
lift:   pushad
        mov     [target.low], bx
        shr     ebx, 16
        mov     [target.middle], bl
        mov     [target.high], bh
        mov     cx, ax
        shl     cx, 8               ; words
        mov     ah, 0x87
        mov     si, descriptors
        int     0x15
        popad
        jc      fail
        ret

fail:   mov     si, words
.next:  lodsb
        test    al, al
        jz      .stop
        mov     ah, 0x0E
        mov     bx, 7
        int     0x10
        jmp     .next
.stop:  hlt
        jmp     .stop

words:  db      "The kernel cannot be loaded: unreadable disk or too little memory.", 0
disk:   db      0

packet: db      16, 0
.count: dw      0
        dw      0
.segment:
        dw      0
.sector:
        dq      0

descriptors:
        times   16 db 0
        dw      0xFFFF, (BUFFER << 4) & 0xFFFF
        db      BUFFER >> 12, 0x93, 0, 0
target: dw      0xFFFF
.low:   dw      0
.middle:
        db      0, 0x93, 0
.high:  db      0
        times   16 db 0

        times   400 - ($ - $$) db 0
parts:  times   2 * 12 db 0         ; filled in by linux_guest.py: the kernel, the initrd
parts_end:
        times   510 - ($ - $$) db 0 ; the partition table is filled in as well
        dw      0xAA55
