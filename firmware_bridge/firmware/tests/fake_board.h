/* A board without hardware: it decodes and keeps what it sends; its tick is a variable. */
#ifndef EQEDGE_FAKE_BOARD_H
#define EQEDGE_FAKE_BOARD_H

#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "sampler.h"

static uint32_t fake_tick, fake_rate = 100000, fake_gain = 1000;
static bool fake_busy;          /* the line is still sending */
static bool fake_lamp;
static int fake_resets;
static uint8_t sent[64][1200];  /* payloads, the latest at sent_count - 1 */
static int sent_size[64];
static unsigned sent_count;
static uint16_t fake_pps_count;
static uint32_t fake_pps_tick;

void board_identity(struct wire_hello *hello)
{
    hello->rate_millihertz = fake_rate;
    hello->tick_hz = 1000000;
    hello->units_per_count = 1e-6f;
    hello->gain = (float)fake_gain / 1000.0f;
    hello->adc_bits = 24;
    hello->unit = WIRE_METRES_PER_SECOND;
    hello->channel_count = BOARD_CHANNELS;
    hello->channels = "EHEEHNEHZ";
    hello->device_id = "fake";
    hello->firmware = "test";
}

uint32_t board_boot_id(void) { return 0xABCDEF10u; }
uint32_t board_tick(void) { return fake_tick; }

void board_send(const uint8_t *bytes, uint16_t size)
{
    uint8_t *copy = sent[sent_count % 64];

    if (size == 0 || size > sizeof sent[0] || bytes[size - 1] != 0)
        abort();
    if (bytes[0] == 0) { /* the zero before the first Hello */
        bytes++;
        size--;
    }
    memcpy(copy, bytes, size);
    sent_size[sent_count % 64] = wire_open(copy, (uint16_t)(size - 1));
    if (sent_size[sent_count % 64] <= 0)
        abort(); /* the device can decode whatever it sends */
    sent_count++;
}

bool board_sending(void) { return fake_busy; }
uint8_t board_lock(void) { return 0; }
void board_unlock(uint8_t lock) { (void)lock; }

bool board_set_rate(uint32_t millihertz)
{
    if (millihertz % 1000 != 0)
        return false;
    fake_rate = millihertz;
    return true;
}

bool board_set_gain(uint32_t thousandths)
{
    if (thousandths > 64000)
        return false;
    fake_gain = thousandths;
    return true;
}

void board_lamp(bool on) { fake_lamp = on; }
void board_reset(void) { fake_resets++; }
int16_t board_temperature_centicelsius(void) { return 2150; }
uint16_t board_supply_millivolts(void) { return 5012; }

uint16_t board_pps(uint32_t *tick)
{
    *tick = fake_pps_tick;
    return fake_pps_count;
}

#endif
