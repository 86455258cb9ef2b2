/* The registers of QEMU's mps2-an385 that the board uses. */
#ifndef EQEDGE_REGISTERS_H
#define EQEDGE_REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define TIMER_CONTROL REGISTER(0x40000000)
#define TIMER_RELOAD REGISTER(0x40000008)
#define TIMER_CLEAR REGISTER(0x4000000C)
#define TIMER2_CONTROL REGISTER(0x40001000)
#define TIMER2_VALUE REGISTER(0x40001004)
#define TIMER2_RELOAD REGISTER(0x40001008)
#define DUAL_LOAD REGISTER(0x40002000)
#define DUAL_VALUE REGISTER(0x40002004)
#define DUAL_CONTROL REGISTER(0x40002008)
#define UART_DATA(n) REGISTER(0x40004000 + 0x1000 * (n))
#define UART_STATE(n) REGISTER(0x40004004 + 0x1000 * (n))
#define UART_CONTROL(n) REGISTER(0x40004008 + 0x1000 * (n))
#define UART_CLEAR(n) REGISTER(0x4000400C + 0x1000 * (n))
#define UART_DIVIDER(n) REGISTER(0x40004010 + 0x1000 * (n))
#define UART_TX_FULL 1u
#define UART_RX_FULL 2u
#define NVIC_ENABLE REGISTER(0xE000E100)
#define RESET_CONTROL REGISTER(0xE000ED0C)

/* On UART1, which a test reads. */
static inline void say_hexadecimal(uint32_t number)
{
    int shift;

    for (shift = 28; shift >= 0; shift -= 4)
        UART_DATA(1) = (uint8_t)"0123456789abcdef"[number >> shift & 15u];
    UART_DATA(1) = '\n';
}

#endif
