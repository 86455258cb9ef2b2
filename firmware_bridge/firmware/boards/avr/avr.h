/* What every ATmega328P board shares: UART, tick, sampling instants, PPS, boot number. */
#ifndef EQEDGE_AVR_H
#define EQEDGE_AVR_H

#include <stdbool.h>
#include <stdint.h>

#define AVR_TICK_HZ (F_CPU / 64u) /* timer 1 */

/* Sampling instants come this many ticks apart; false if the rate does not divide the tick. */
bool avr_set_rate(uint32_t millihertz, uint32_t highest_millihertz);
uint32_t avr_rate_millihertz(void);

/* The board's own: called in the timer's interrupt at each sampling instant. */
void board_sample(uint32_t tick);

/* Runs the device; does not return. */
void avr_run(void);

#endif
