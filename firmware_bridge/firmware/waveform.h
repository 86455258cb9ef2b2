/* The waveform file that boards without a converter play: 96 bytes of header, then i32 counts.
 *
 * offset  0 "EQW1"   4 u32 samples    8 u32 channels   12 u32 millihertz   16 f32 units a count
 *        20 u8 unit 21 u8 ADC bits   24 i32 crystal error in parts per billion
 *        28 u32 number that boot_id starts from       32 u32 samples from mark to mark
 *        36 channel codes            54 device id, up to 32 characters, zero-terminated
 */
#ifndef EQEDGE_WAVEFORM_H
#define EQEDGE_WAVEFORM_H

#include <stdint.h>

struct waveform {
    char magic[4];
    uint32_t samples, channels, rate_millihertz;
    float units_per_count;
    uint8_t unit, adc_bits, reserved[2];
    int32_t crystal_ppb;
    uint32_t boot_seed, mark_samples;
    char codes[18];
    char device_id[33];
    char padding[9];
    int32_t counts[]; /* channels of the first sample, of the second, ... */
};

#endif
