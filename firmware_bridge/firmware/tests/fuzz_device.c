/* libFuzzer: any bytes from the host, any readings, a line that is busy at any moment. */
#include <stddef.h>

#include "device.h"
#include "fake_board.h"
#include "sampler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t frame[512];
    size_t i;

    /* As one frame: decoded in place, wherever its end. */
    memcpy(frame, data, size < sizeof frame ? size : sizeof frame);
    (void)wire_open(frame, (uint16_t)(size < sizeof frame ? size : sizeof frame));

    /* As a run: each byte is received, and its bits decide what happens at the same time. */
    fake_rate = 100000;
    fake_gain = 1000;
    device_start();
    for (i = 0; i < size; i++) {
        int32_t counts[BOARD_CHANNELS];
        int channel;

        for (channel = 0; channel < BOARD_CHANNELS; channel++)
            counts[channel] = (int32_t)((uint32_t)data[i] << (data[(i + 1) % size] & 31));
        fake_tick += data[i];
        fake_busy = data[i] % 5 == 0;
        if (data[i] & 1)
            sampler_take(fake_tick, counts);
        else if (data[i] & 2)
            sampler_miss();
        device_receive(data[i]);
        device_step();
    }
    /* As commands: a correct frame with any contents. */
    for (i = 0; i + 8 < size; i += 8) {
        struct wire_writer w = {0};
        uint16_t length, at;
        uint8_t byte;

        wire_begin(&w, frame, sizeof frame, data[i] & 0x31);
        for (byte = 1; byte < 8; byte++)
            wire_put(&w, byte == 3 ? data[i + byte] % 9 : data[i + byte], 1);
        length = wire_end(&w);
        for (at = 0; at < length; at++)
            device_receive(frame[at]);
        fake_busy = false;
        for (at = 0; at < 10 && device_step(); at++)
            ;
    }
    return 0;
}
