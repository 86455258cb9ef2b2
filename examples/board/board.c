/* A board: a Linux program that samples a sine and talks over standard input and output.
 *
 * For your own hardware, replace the body of each function; board.h of the firmware states what each
 * must do. On a microcontroller the two marked loops of main become two interrupts.
 */
#define _DEFAULT_SOURCE
#include "board.h"

#include <math.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "sampler.h"

enum { RATE_HZ = 100, TICK_HZ = 1000000 };

void board_identity(struct wire_hello *hello)
{
    *hello = (struct wire_hello){
        .rate_millihertz = RATE_HZ * 1000, .tick_hz = TICK_HZ, .units_per_count = 1e-9f,
        .gain = 1.0f, .adc_bits = 24, .unit = WIRE_METRES_PER_SECOND,
        .channel_count = BOARD_CHANNELS, .channels = "EHEEHNEHZ",
        .device_id = "example", .firmware = "example 1.0"};
}

uint32_t board_boot_id(void) { uint32_t id = 0; return getentropy(&id, sizeof id) ? 0 : id; }

uint32_t board_tick(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * TICK_HZ + (uint64_t)now.tv_nsec / 1000);
}

void board_send(const uint8_t *bytes, uint16_t size)
{
    if (write(STDOUT_FILENO, bytes, size) != size)
        _exit(0); /* the reader is gone */
}

bool board_sending(void) { return false; }
uint8_t board_lock(void) { return 0; } /* no interrupts, so nothing to keep out */
void board_unlock(uint8_t lock) { (void)lock; }
bool board_set_rate(uint32_t millihertz) { (void)millihertz; return false; }
bool board_set_gain(uint32_t thousandths) { (void)thousandths; return false; }
void board_lamp(bool on) { (void)on; }
void board_reset(void) { execl("/proc/self/exe", "board", (char *)0); }
int16_t board_temperature_centicelsius(void) { return WIRE_NO_TEMPERATURE; }
uint16_t board_supply_millivolts(void) { return WIRE_NO_SUPPLY; }
uint16_t board_pps(uint32_t *tick) { (void)tick; return 0; }

int main(void)
{
    struct pollfd host = {STDIN_FILENO, POLLIN, 0};
    uint8_t byte;

    device_start();
    for (uint32_t next = board_tick();;) {
        while (poll(&host, 1, 1) > 0) { /* interrupt: a byte has arrived */
            if (read(STDIN_FILENO, &byte, 1) != 1)
                return 0;
            device_receive(byte);
        }
        for (; (int32_t)(board_tick() - next) >= 0; next += TICK_HZ / RATE_HZ) { /* interrupt: sample */
            double phase = 6.283185307 * (next % TICK_HZ) / TICK_HZ;
            int32_t east = (int32_t)(1000 * sin(phase)), north = (int32_t)(1000 * cos(phase));
            int32_t counts[BOARD_CHANNELS] = {east, north, east + north};

            sampler_take(next, counts);
        }
        while (device_step())
            ;
    }
}
