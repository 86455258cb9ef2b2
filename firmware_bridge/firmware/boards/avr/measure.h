/* What a firmware costs on simavr: processor cycles, exactly, and stack. */
#ifndef EQEDGE_MEASURE_H
#define EQEDGE_MEASURE_H

#include <simavr/sim_avr.h>

#define CLOCK_HZ 16000000u

void measure_spi_byte(void); /* to be called with each byte that goes over SPI */

/* Runs for so many simulated seconds after the first, which is the boot, and prints. */
void measure(avr_t *avr, double seconds);

#endif
