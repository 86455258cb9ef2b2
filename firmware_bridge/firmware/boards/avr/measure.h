/* Measure a firmware on simavr: exact processor cycles, and stack. */
#ifndef EQEDGE_MEASURE_H
#define EQEDGE_MEASURE_H

#include <simavr/sim_avr.h>

#define CLOCK_HZ 16000000u

void measure_spi_byte(void); /* call for each byte on SPI */

/* Run for the first simulated second, which is the boot, and `seconds` more, and print. */
void measure(avr_t *avr, double seconds);

#endif
