/* The device's side of the protocol: Hello, samples, replies to the host. */
#ifndef EQEDGE_DEVICE_H
#define EQEDGE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

void device_start(void);            /* before interrupts are enabled */
bool device_step(void);             /* one step of the main loop; false: nothing left to do */
void device_receive(uint8_t byte);  /* each byte from the host; may be called from an interrupt */

#endif
