/* A model of the converter, on an Uno's SPI, D10 (chip select) and D2 (data-ready). */
#ifndef EQEDGE_ADS1256_H
#define EQEDGE_ADS1256_H

#include <simavr/sim_avr.h>
#include <stdint.h>

/* `count` returns the present count of a pair of inputs. */
void ads1256_attach(avr_t *avr, int32_t (*count)(unsigned pair));

#endif
