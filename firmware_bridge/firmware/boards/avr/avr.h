/* Common to all ATmega328P boards: UART, tick, sampling instants, PPS, boot number. */
#ifndef EQEDGE_AVR_H
#define EQEDGE_AVR_H

#include <stdbool.h>
#include <stdint.h>

#define AVR_TICK_HZ (F_CPU / 64u) /* timer 1 */

/* Set the ticks between sampling instants; return false if the rate does not divide the tick. */
bool avr_set_rate(uint32_t millihertz, uint32_t highest_millihertz);
uint32_t avr_rate_millihertz(void);

/* Defined by the board; called in the timer's interrupt at each sampling instant. */
void board_sample(uint32_t tick);

/* Run the device; does not return. */
void avr_run(void);

#endif
