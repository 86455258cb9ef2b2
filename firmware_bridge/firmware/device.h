/* The device as its host knows it: greets, streams, answers. */
#ifndef EQEDGE_DEVICE_H
#define EQEDGE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

void device_start(void);            /* before interrupts are let in */
bool device_step(void);             /* one turn of the main loop; false: nothing left to do */
void device_receive(uint8_t byte);  /* each byte from the host; may be called from an interrupt */

#endif
