; Stillframe sample guest: a boot disk of a few sectors that counts, for watching snapshots work.
; Sixteen-bit real mode on BIOS calls, so it starts in a moment on any emulator. README.md describes the contract.
;
;   nasm -f bin -o sample-guest.img sample_guest.asm        (build.py does this)

        cpu     386
        bits    16
        org     0x7C00

COM1            equ 0x3F8
PM1_STS         equ 0x600           ; where SeaBIOS puts the ACPI power management block of PIIX4 (and ICH9)
PM1_EN          equ 0x602
PM1_CNT         equ 0x604
POWER_BUTTON    equ 0x0100          ; the same bit in PM1_STS and PM1_EN
SLEEP_S5        equ 0x2000          ; SLP_EN with sleep type 0, which QEMU's tables give to S5
BIOS_TICKS      equ 0x046C          ; low word of the timer tick count
BIOS_DISKS      equ 0x0475          ; number of hard disks
STATE_LBA       equ 64
MAX_DISKS       equ 4
NOTE_LIMIT      equ 48              ; the field holds 64, the screen line 48
KEY_F8          equ 0x42            ; scan code
KEY_CTRL_B      equ 0x02            ; character
MIN_DIGITS      equ 6
MAX_DIGITS      equ 8
SCREEN          equ 0xB800

; Attributes. The palette below gives them their real colours.
TEXT            equ 0x0F
QUIET           equ 0x07
FAINT           equ 0x08
ACCENT          equ 0x0B
ALARM           equ 0x0C
BAR_TEXT        equ 0x1F
BAR_QUIET       equ 0x17
BAR_ACCENT      equ 0x1B
BAR_KEY         equ 0x13
BANNER          equ 0x4F

; ---------------------------------------------------------------- boot sector: load the rest, go there
boot:   xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7C00
        cld
        sti
        jmp     0:.here
.here:  mov     si, load_packet
        mov     ah, 0x42            ; DL is the boot disk
        int     0x13
        jnc     main
        mov     si, load_failed
.print: lodsb
        test    al, al
        jz      .stop
        mov     ah, 0x0E
        mov     bx, 7
        int     0x10
        jmp     .print
.stop:  hlt
        jmp     .stop

load_packet:
        db      16, 0
        dw      (image_end - boot) / 512 - 1, 0x7E00, 0
        dq      1
load_failed:
        db      "Stillframe sample guest: the boot disk cannot be read.", 0

        times   510 - ($ - $$) db 0
        dw      0xAA55

; ---------------------------------------------------------------- set-up and main loop
main:   call    serial_setup
        call    screen_setup
        call    power_setup
        call    find_disks
        call    load_state
        call    greet
        call    show_mode

next_event:
        cli                         ; a tick between the test and hlt must not be slept through
        mov     ax, [BIOS_TICKS]
        cmp     ax, [last_tick]
        jne     .tick
        mov     ax, [0x041A]        ; keyboard buffer: head and tail
        cmp     ax, [0x041C]
        jne     .key
        sti
        hlt
        jmp     next_event
.key:   sti
        call    on_key
        jmp     next_event
.tick:  mov     [last_tick], ax
        sti
        call    on_tick
        jmp     next_event

; One step: count, write every disk, then say so on the serial line and on the screen, in this order.
on_tick:
        call    power_pressed
        jnz     power_off
        cmp     byte [sector.broken], 0
        jne     .done
        add     dword [sector.counter], 1
        adc     dword [sector.counter + 4], 0
        add     dword [sector.ticks], 1
        adc     dword [sector.ticks + 4], 0
        call    write_disks
        mov     si, text_n
        call    serial_counter
        mov     si, text_t
        call    serial_text
        mov     si, sector.ticks
        call    serial_number
        cmp     byte [write_errors], 0
        je      .told
        mov     si, text_error
        call    serial_text
.told:  call    serial_newline
        call    show_values
.done:  ret

; Keys: what is typed becomes the note; it reaches the disks with the next tick.
on_key: xor     ah, ah
        int     0x16
        cmp     byte [sector.broken], 0
        jne     .broken
        cmp     ah, KEY_F8
        je      break_guest
        cmp     al, KEY_CTRL_B
        je      break_guest
        movzx   bx, byte [note_length]
        cmp     al, 13
        je      .clear
        cmp     al, 8
        je      .erase
        cmp     al, ' '
        jb      .done
        cmp     al, '~'
        ja      .done
        cmp     bx, NOTE_LIMIT
        jae     .done
        mov     [sector.note + bx], al
        inc     byte [note_length]
        jmp     show_note
.erase: test    bx, bx
        jz      .done
        dec     byte [note_length]
        mov     byte [sector.note + bx - 1], 0
        jmp     show_note
.clear: call    clear_note
        jmp     show_note
.broken:
        cmp     al, 13
        jne     .done
        mov     byte [sector.broken], 0
        call    write_disks
        mov     si, text_again
        call    serial_counter
        call    serial_newline
        jmp     show_mode
.done:  ret

clear_note:
        mov     di, sector.note
        mov     cx, 64
        xor     al, al
        mov     [note_length], al
        rep     stosb
        ret

; Does the damage a snapshot undoes: the counter and the note are gone from every disk, and a restart does not help.
break_guest:
        xor     eax, eax
        mov     [sector.counter], eax
        mov     [sector.counter + 4], eax
        call    clear_note
        mov     byte [sector.broken], 1
        call    write_disks
        mov     si, text_broken
        call    serial_text
        call    serial_newline
        jmp     show_mode

; ---------------------------------------------------------------- disks
; Marks in disk_mask every hard disk that takes extended reads and reaches past STATE_LBA.
find_disks:
        xor     bp, bp
.next:  mov     ax, bp
        cmp     al, [BIOS_DISKS]
        jae     .done
        mov     dl, 0x80
        add     dl, al
        mov     ah, 0x41
        mov     bx, 0x55AA
        int     0x13
        jc      .skip
        cmp     bx, 0xAA55
        jne     .skip
        mov     ah, 0x48
        mov     si, drive_facts
        mov     word [si], 26
        int     0x13
        jc      .skip
        cmp     dword [drive_facts + 20], 0
        jne     .good
        cmp     dword [drive_facts + 16], STATE_LBA
        jbe     .skip
.good:  bts     word [disk_mask], bp
        inc     byte [disk_count]
.skip:  inc     bp
        cmp     bp, MAX_DISKS
        jb      .next
.done:  ret

; Continues from the first disk's sector, or starts from nothing when there is none yet.
load_state:
        mov     ah, 0x42
        mov     dl, 0x80
        call    disk_call
        jc      .fresh
        mov     si, sector
        mov     di, magic
        mov     cx, 8
        repe    cmpsb
        je      .found
.fresh: mov     di, sector
        mov     cx, 256
        xor     ax, ax
        rep     stosw
        mov     si, magic
        mov     di, sector
        mov     cx, 4
        rep     movsw
.found: xor     eax, eax
        mov     [sector.ticks], eax
        mov     [sector.ticks + 4], eax
        inc     dword [sector.boots]
        mov     si, sector.note
        xor     bx, bx
.note:  cmp     byte [si + bx], 0
        je      .counted
        inc     bx
        cmp     bx, NOTE_LIMIT
        jb      .note
.counted:
        mov     [note_length], bl
        mov     ax, [BIOS_TICKS]
        mov     [last_tick], ax
        ret

; Writes the sector to each disk in turn, lowest number first; write_errors gets a bit for each that failed.
write_disks:
        mov     byte [write_errors], 0
        xor     bp, bp
.next:  bt      word [disk_mask], bp
        jnc     .skip
        mov     [sector.disk], bp
        mov     dx, bp
        add     dl, 0x80
        mov     ax, 0x4300
        call    disk_call
        jnc     .skip
        bts     word [write_errors], bp
.skip:  inc     bp
        cmp     bp, MAX_DISKS
        jb      .next
        ret

; AX = call and flags, DL = disk. The packet is laid out anew because a failed call may change its count.
disk_call:
        mov     si, state_packet
        mov     word [si + 2], 1
        push    bp
        int     0x13
        pop     bp
        ret

; ---------------------------------------------------------------- power button
; Claims the button. Reading the mask back shows whether there is such hardware at all: empty ports read as ones.
power_setup:
        mov     dx, PM1_EN
        mov     ax, POWER_BUTTON
        out     dx, ax
        in      ax, dx
        cmp     ax, POWER_BUTTON
        jne     .none
        mov     byte [has_power_button], 1
        mov     dx, PM1_STS         ; a press from before this boot does not count
        out     dx, ax
.none:  ret

; Zero flag clear when the button was pressed; the press is acknowledged.
power_pressed:
        cmp     byte [has_power_button], 0
        je      .done
        mov     dx, PM1_STS
        in      ax, dx
        and     ax, POWER_BUTTON
        jz      .done
        out     dx, ax
.done:  ret

power_off:
        call    write_disks
        mov     si, text_bye
        call    serial_counter
        call    serial_newline
        mov     dx, PM1_CNT
        mov     ax, SLEEP_S5
        out     dx, ax
.stop:  hlt
        jmp     .stop

; ---------------------------------------------------------------- serial line
serial_setup:
        mov     si, serial_registers
        mov     cx, 6
.next:  lodsw
        movzx   dx, al
        add     dx, COM1
        mov     al, ah
        out     dx, al
        loop    .next
        ret

serial_registers:                   ; offset, value: no interrupts, 115200 8N1, FIFO on, DTR and RTS
        db      1, 0,  3, 0x80,  0, 1,  1, 0,  3, 3,  2, 0xC7
        ; the modem lines are left as the BIOS has them

; AL = character. A reader that has stopped must not stop the guest: after a bounded wait the character is dropped.
serial_char:
        push    cx
        push    dx
        push    ax
        mov     dx, COM1 + 5
        mov     cx, 500
.wait:  in      al, dx
        test    al, 0x20
        jnz     .ready
        loop    .wait
        pop     ax
        jmp     .done
.ready: pop     ax
        mov     dx, COM1
        out     dx, al
.done:  pop     dx
        pop     cx
        ret

; SI = zero-terminated text.
serial_text:
        lodsb
        test    al, al
        jz      .done
        call    serial_char
        jmp     serial_text
.done:  ret

serial_newline:
        mov     si, text_newline
        jmp     serial_text

; SI = text, followed by the counter.
serial_counter:
        call    serial_text
        mov     si, sector.counter
; SI = address of a 64-bit number.
serial_number:
        call    decimal
        jmp     serial_text

greet:  mov     si, text_boot
        call    serial_text
        mov     si, sector.boots
        call    decimal32
        call    serial_text
        mov     si, text_disks
        call    serial_text
        mov     al, [disk_count]
        add     al, '0'
        call    serial_char
        mov     si, text_start
        call    serial_counter
        jmp     serial_newline

; ---------------------------------------------------------------- numbers
; SI = address of a 64-bit number; returns SI = its decimal digits, zero-terminated, CX = how many.
decimal:
        mov     eax, [si + 4]
        jmp     decimal_high
decimal32:
        xor     eax, eax
decimal_high:
        mov     ebx, [si]           ; EAX:EBX is what remains
        mov     ecx, 10
        mov     di, digits_end
.next:  xor     edx, edx
        div     ecx
        xchg    eax, ebx
        div     ecx
        xchg    eax, ebx
        add     dl, '0'
        dec     di
        mov     [di], dl
        mov     edx, eax
        or      edx, ebx
        jnz     .next
        mov     si, di
        mov     cx, digits_end
        sub     cx, di
        ret

; ---------------------------------------------------------------- screen
screen_setup:
        mov     ax, 3
        int     0x10
        mov     ah, 1               ; no cursor
        mov     cx, 0x2000
        int     0x10
        mov     si, palette
.next:  lodsb
        cmp     al, 0xFF
        je      .done
        mov     dx, 0x3C8
        out     dx, al
        inc     dx
        mov     cx, 3
.part:  lodsb
        shr     al, 2               ; the converter takes six bits
        out     dx, al
        loop    .part
        jmp     .next
.done:  ret

; Draws everything anew for the state the guest is in.
show_mode:
        mov     bx, QUIET
        mov     di, 0
        mov     cx, 80 * 25
        call    fill
        mov     bx, BAR_TEXT
        mov     di, 0
        mov     cx, 80
        call    fill
        mov     di, 24 * 160
        mov     cx, 80
        call    fill
        mov     si, texts_always
        call    show_texts
        mov     si, sector.boots
        call    decimal32
        mov     di, 73 * 2          ; right-aligned at column 78
        sub     di, cx
        sub     di, cx
        mov     bl, BAR_QUIET
        push    si
        mov     si, text_boot_count
        call    show_line
        pop     si
        call    show_line
        cmp     byte [sector.broken], 0
        je      .running
        mov     bx, BANNER
        mov     di, 3 * 160
        mov     cx, 80 * 9
        call    fill
        mov     si, texts_broken
        call    show_texts
        mov     si, word_broken
        mov     cx, 6
        mov     dl, 0
        jmp     show_big
.running:
        mov     si, texts_running
        call    show_texts
        mov     di, 14 * 160 + 11 * 2
        mov     cx, 58
        mov     bx, 0xC400 + FAINT
        call    fill_with
        call    show_note
; The counter, large and small, and the ticks: everything a tick changes.
show_values:
        mov     si, sector.counter
        call    decimal
        mov     di, 16 * 160 + 26 * 2
        mov     bl, TEXT
        push    si
        push    cx
        call    show_line
        pop     cx
        pop     si
        call    show_counter
        mov     si, sector.ticks
        call    decimal
        mov     di, 17 * 160 + 26 * 2
        mov     bl, TEXT
        call    show_line
        mov     di, 18 * 160 + 26 * 2
        mov     bl, TEXT
        mov     al, [disk_count]
        add     al, '0'
        call    show_char
        mov     si, text_writes_good
        mov     bl, QUIET
        cmp     byte [write_errors], 0
        je      .told
        mov     si, text_writes_bad
        mov     bl, ALARM
.told:  mov     di, 18 * 160 + 40 * 2
        jmp     show_line

; SI, CX = digits of the counter: padded with faint zeros, or cut to the last MAX_DIGITS.
show_counter:
        mov     dl, 0               ; how many zeros
        cmp     cx, MAX_DIGITS
        jbe     .fits
        add     si, cx
        mov     cx, MAX_DIGITS
        sub     si, cx
.fits:  cmp     cx, MIN_DIGITS
        jae     show_big
        dec     si
        mov     byte [si], '0'
        inc     cx
        inc     dl
        jmp     .fits

; SI = characters with a glyph, CX = how many, DL = how many of the first are faint. Centred in rows 4 to 10.
show_big:
        mov     bl, ACCENT
        cmp     byte [sector.broken], 0
        je      .place
        mov     bl, BANNER
.place: imul    di, cx, 10          ; each takes 8 columns and a gap of 2
        neg     di
        add     di, 4 * 160 + 82
.next:  lodsb
        push    bx
        test    dl, dl
        jz      .bright
        dec     dl
        mov     bl, FAINT
.bright:
        call    show_glyph
        pop     bx
        add     di, 20
        loop    .next
        ret

; AL = character, DI = top left cell, BL = attribute. Two glyph rows share one row of half blocks.
show_glyph:
        pusha
        push    es
        push    SCREEN
        pop     es
        movzx   si, al
        sub     si, '0'
        imul    si, 14
        add     si, glyphs
        mov     bp, 7
.row:   lodsw                       ; AL = upper, AH = lower
        mov     cx, 8
.cell:  xor     dx, dx
        shl     al, 1
        rcl     dx, 1
        shl     ah, 1
        rcl     dx, 1
        push    si
        mov     si, dx
        mov     dl, [half_blocks + si]
        pop     si
        mov     [es:di], dl
        mov     [es:di + 1], bl
        add     di, 2
        loop    .cell
        add     di, 160 - 16
        dec     bp
        jnz     .row
        pop     es
        popa
        ret

show_note:
        mov     di, 19 * 160 + 26 * 2
        mov     cx, NOTE_LIMIT + 1
        mov     bx, QUIET
        call    fill
        mov     di, 19 * 160 + 26 * 2
        mov     si, sector.note
        movzx   cx, byte [note_length]
        mov     bl, TEXT
        jcxz    .end
.next:  lodsb
        call    show_char
        loop    .next
.end:   mov     al, '_'
        mov     bl, ACCENT
        jmp     show_char

; SI = list of texts: position, attribute, characters, zero; ends with a position of ones.
show_texts:
        lodsw
        cmp     ax, 0xFFFF
        je      .done
        mov     di, ax
        lodsb
        mov     bl, al
        call    show_line
        jmp     show_texts
.done:  ret

; SI = zero-terminated text, DI = cell, BL = attribute; leaves SI past the zero and DI past the text.
show_line:
        lodsb
        test    al, al
        jz      .done
        call    show_char
        jmp     show_line
.done:  ret

show_char:
        push    es
        push    SCREEN
        pop     es
        mov     ah, bl
        stosw
        pop     es
        ret

; DI = first cell, CX = how many, BL = attribute.
fill:   mov     bh, ' '
fill_with:                          ; ... BH = character
        push    es
        push    SCREEN
        pop     es
        mov     al, bh
        mov     ah, bl
        push    cx
        rep     stosw
        pop     cx
        pop     es
        ret

; ---------------------------------------------------------------- data
%macro  cell 4                       ; row, column, attribute, text
        dw      %1 * 160 + %2 * 2
        db      %3, %4, 0
%endmacro

texts_always:
        cell    0, 2, BAR_ACCENT, 0xFE
        cell    0, 4, BAR_TEXT, "Stillframe sample guest"
        dw      0xFFFF
texts_running:
        cell    12, 16, QUIET, "It counts while it runs. A revert takes it back."
        cell    16, 11, QUIET, "On disk"
        cell    16, 40, QUIET, "survives a restart"
        cell    17, 11, QUIET, "Since boot"
        cell    17, 40, QUIET, "lives in memory only"
        cell    18, 11, QUIET, "Disks"
        cell    19, 11, QUIET, "Note"
        cell    24, 2, BAR_KEY, "Type"
        cell    24, 7, BAR_QUIET, "to leave a note"
        cell    24, 27, BAR_KEY, "Enter"
        cell    24, 33, BAR_QUIET, "clears it"
        cell    24, 66, BAR_KEY, "F8"
        cell    24, 69, BAR_QUIET, "breaks me"
        dw      0xFFFF
texts_broken:
        cell    14, 11, TEXT, "The counter and the note are gone from every disk."
        cell    16, 11, QUIET, "A restart will not bring them back. Revert to a snapshot."
        cell    24, 2, BAR_KEY, "Enter"
        cell    24, 8, BAR_QUIET, "starts again from 0"
        dw      0xFFFF
text_boot_count:
        db      "Boot ", 0
text_writes_good:
        db      "all carry the same count", 0
text_writes_bad:
        db      "a write has failed      ", 0
word_broken:                        ; letters are glyphs 10 to 15
        db      ":;<=>?"
half_blocks:
        db      ' ', 0xDC, 0xDF, 0xDB

magic:          db "STILLFRM"
text_boot:      db "stillframe boot=", 0
text_disks:     db " disks=", 0
text_start:     db " "
text_n:         db "n=", 0
text_t:         db " t=", 0
text_error:     db " write-error", 0
text_bye:       db "stillframe bye n=", 0
text_broken:    db "stillframe broken", 0
text_again:     db "stillframe again n=", 0
text_newline:   db 13, 10, 0

palette:                            ; converter index, red, green, blue
        db      0x00, 0x12, 0x17, 0x1A
        db      0x01, 0x1F, 0x28, 0x2C
        db      0x03, 0x2F, 0xB5, 0xA8
        db      0x04, 0xB9, 0x1C, 0x1C
        db      0x07, 0x9A, 0xA8, 0xAF
        db      0x38, 0x2A, 0x36, 0x3B
        db      0x3B, 0x2F, 0xB5, 0xA8
        db      0x3C, 0xF2, 0x72, 0x72
        db      0x3F, 0xE6, 0xEC, 0xEE
        db      0xFF

glyphs:
%macro  glyph 14
        db      %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14
%endmacro
%define FULL    0b11111111
%define ROUND   0b01111110
%define BOTH    0b11000011
%define LEFT    0b11000000
%define RIGHT   0b00000011
        glyph   ROUND, FULL, BOTH, BOTH, BOTH, BOTH, BOTH, BOTH, BOTH, BOTH, BOTH, BOTH, FULL, ROUND
        glyph   0b00011000, 0b00111000, 0b01111000, 0b01111000, 0b00011000, 0b00011000, 0b00011000, \
                0b00011000, 0b00011000, 0b00011000, 0b00011000, 0b00011000, ROUND, ROUND
        glyph   ROUND, FULL, BOTH, RIGHT, RIGHT, 0b00000111, 0b00001110, 0b00011100, 0b00111000, \
                0b01110000, 0b11100000, LEFT, FULL, FULL
        glyph   ROUND, FULL, BOTH, RIGHT, RIGHT, RIGHT, 0b00111110, 0b00111110, RIGHT, RIGHT, RIGHT, BOTH, FULL, ROUND
        glyph   BOTH, BOTH, BOTH, BOTH, BOTH, BOTH, FULL, 0b01111111, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT
        glyph   FULL, FULL, LEFT, LEFT, LEFT, LEFT, 0b11111110, FULL, RIGHT, RIGHT, RIGHT, BOTH, FULL, ROUND
        glyph   ROUND, FULL, BOTH, LEFT, LEFT, LEFT, 0b11111110, FULL, BOTH, BOTH, BOTH, BOTH, FULL, ROUND
        glyph   FULL, FULL, RIGHT, RIGHT, RIGHT, 0b00000110, 0b00000110, 0b00001100, 0b00001100, \
                0b00001100, 0b00011000, 0b00011000, 0b00011000, 0b00011000
        glyph   ROUND, FULL, BOTH, BOTH, BOTH, BOTH, ROUND, ROUND, BOTH, BOTH, BOTH, BOTH, FULL, ROUND
        glyph   ROUND, FULL, BOTH, BOTH, BOTH, BOTH, FULL, 0b01111111, RIGHT, RIGHT, RIGHT, BOTH, FULL, ROUND
        ; B R O K E N
        glyph   0b11111110, FULL, BOTH, BOTH, BOTH, BOTH, 0b11111110, 0b11111110, BOTH, BOTH, BOTH, BOTH, FULL, 0b11111110
        glyph   0b11111110, FULL, BOTH, BOTH, BOTH, BOTH, FULL, 0b11111110, 0b11011100, 0b11001110, \
                0b11000110, 0b11000111, BOTH, BOTH
        glyph   ROUND, FULL, BOTH, BOTH, BOTH, BOTH, BOTH, BOTH, BOTH, BOTH, BOTH, BOTH, FULL, ROUND
        glyph   BOTH, 0b11000111, 0b11001110, 0b11001110, 0b11011100, 0b11111000, 0b11110000, \
                0b11110000, 0b11111000, 0b11011100, 0b11001110, 0b11001110, 0b11000111, BOTH
        glyph   FULL, FULL, LEFT, LEFT, LEFT, LEFT, 0b11111100, 0b11111100, LEFT, LEFT, LEFT, LEFT, FULL, FULL
        glyph   BOTH, 0b11100011, 0b11100011, 0b11110011, 0b11110011, 0b11011011, 0b11011011, \
                0b11011011, 0b11001111, 0b11001111, 0b11000111, 0b11000111, BOTH, BOTH

state_packet:
        db      16, 0
        dw      1, sector, 0
        dq      STATE_LBA

last_tick:          dw 0
disk_mask:          dw 0
write_errors:       dw 0
disk_count:         db 0
note_length:        db 0
has_power_button:   db 0
                    times 8 db '0'          ; room for show_counter's padding
digits:             times 20 db '0'
digits_end:         db 0

        align   512, db 0
image_end:

; Memory behind the image.
        absolute image_end
sector:
                resb 8
.counter:       resb 8
.ticks:         resb 8
.disk:          resb 4
.boots:         resb 4
.broken:        resb 4
                resb 28
.note:          resb 64
                resb 384
drive_facts:    resb 32
