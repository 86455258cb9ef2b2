/* A model of a Texas Instruments ADS1256 at 500 conversions a second.
 *
 * It implements the commands that the firmware uses, has a result 2.18 ms after each SYNC, and
 * checks the data sheet's pauses: where one is too short, it prints an error and the program ends.
 */
#include "ads1256.h"

#include <simavr/avr_ioport.h>
#include <simavr/avr_spi.h>
#include <simavr/sim_time.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"

#define SETTLING_MICROSECONDS 2180 /* data sheet SBAS288K, table 13 */
#define SPI_BYTE_CYCLES (100 * (CLOCK_HZ / 1000000u)) /* each takes 100 us in simavr */

static avr_t *avr;
static int32_t (*measured)(unsigned pair);
static struct {
    bool selected, calibrating;
    uint8_t registers[11], wreg, wreg_left, out[3], out_left;
    bool wreg_count_next;
    uint32_t held;
    uint64_t byte_ended; /* cycle at which the last byte ended */
    unsigned pause;      /* required before the next byte (t6, t11), in clocks of 7.68 MHz */
} chip;

static void violated(const char *rule)
{
    fprintf(stderr, "simulate_avr: ads1256: %s\n", rule);
    exit(1);
}

static unsigned clocks_since_byte(uint64_t cycle)
{
    return (unsigned)((cycle - chip.byte_ended) * 768u / 1600u);
}

static void data_ready(bool ready)
{
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('D'), 2), ready ? 0 : 1);
}

static avr_cycle_count_t conversion_ends(avr_t *unused, avr_cycle_count_t when, void *param)
{
    (void)unused;
    (void)when;
    (void)param;
    chip.calibrating = false;
    chip.held = (uint32_t)measured(chip.registers[1] >> 5); /* 01h, 23h, 45h: 0, 1, 2 */
    data_ready(true);
    return 0;
}

static void spi_byte(struct avr_irq_t *irq, uint32_t value, void *unused)
{
    uint8_t byte = (uint8_t)value, answer = 0;

    (void)irq;
    (void)unused;
    measure_spi_byte();
    if (!chip.selected)
        return;
    if (clocks_since_byte(avr->cycle - SPI_BYTE_CYCLES) < chip.pause)
        violated("a byte came too early after the one before (t6, t11)");
    chip.pause = 0;
    if (chip.wreg_count_next) {
        chip.wreg_left = (uint8_t)(byte + 1);
        chip.wreg_count_next = false;
    } else if (chip.wreg_left > 0) {
        chip.registers[chip.wreg++ % 11] = byte;
        if (--chip.wreg_left == 0)
            chip.pause = 4;
    } else if (chip.out_left > 0) {
        answer = chip.out[3 - chip.out_left--];
        if (chip.out_left == 0)
            chip.pause = 4;
    } else if (chip.calibrating) {
        violated("a command came before the calibration was over");
    } else if ((byte & 0xF0) == 0x50) {
        chip.wreg = byte & 0x0F;
        chip.wreg_count_next = true;
    } else if (byte == 0x01) { /* RDATA */
        chip.out[0] = (uint8_t)(chip.held >> 16);
        chip.out[1] = (uint8_t)(chip.held >> 8);
        chip.out[2] = (uint8_t)chip.held;
        chip.out_left = 3;
        chip.pause = 50;
    } else if (byte == 0xFC) { /* SYNC */
        data_ready(false);
        avr_cycle_timer_register_usec(avr, SETTLING_MICROSECONDS, conversion_ends, NULL);
        chip.pause = 24;
    } else if (byte == 0xF0 || byte == 0xFE) { /* SELFCAL; RESET, which calibrates too */
        data_ready(false);
        chip.calibrating = true;
        avr_cycle_timer_register_usec(avr, 3 * SETTLING_MICROSECONDS, conversion_ends, NULL);
    }
    chip.byte_ended = avr->cycle;
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_SPI_GETIRQ(0), SPI_IRQ_INPUT), answer);
}

static void chip_select(struct avr_irq_t *irq, uint32_t value, void *unused)
{
    (void)irq;
    (void)unused;
    if (chip.selected && value && clocks_since_byte(avr->cycle) < 8)
        violated("chip select rose too early after the last byte (t10)");
    chip.selected = value == 0;
}

void ads1256_attach(avr_t *to, int32_t (*count)(unsigned pair))
{
    avr = to;
    measured = count;
    data_ready(false);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_SPI_GETIRQ(0), SPI_IRQ_OUTPUT), spi_byte,
                            NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('B'), 2), chip_select, NULL);
}
