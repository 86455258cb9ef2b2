/* Write and read the frames of PROTOCOL.md, in C99, without allocating memory. */
#ifndef EQEDGE_PROTOCOL_H
#define EQEDGE_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#define WIRE_VERSION 1
#define WIRE_HEADER_BYTES 16  /* of a Samples payload */
#define WIRE_CRC_BYTES 4
#define WIRE_TEXT_BYTES 32    /* longest device id or firmware name */
#define WIRE_MAX_CHANNELS 6
#define WIRE_RECEIVE_BYTES 32 /* longest frame that a device accepts from its host */

/* Longest frame around a payload: CRC, COBS codes, closing zero. */
#define WIRE_FRAME_BYTES(payload) \
    ((payload) + WIRE_CRC_BYTES + ((payload) + WIRE_CRC_BYTES) / 254 + 2)

enum wire_type {
    WIRE_HELLO = 0x01,
    WIRE_SAMPLES = 0x02,
    WIRE_STATUS = 0x03,
    WIRE_TIME_REQUEST = 0x10,
    WIRE_TIME_REPLY = 0x11,
    WIRE_COMMAND = 0x20,
    WIRE_ACK = 0x21
};

enum wire_verb {
    WIRE_IDENTIFY = 1, WIRE_START, WIRE_STOP, WIRE_RATE, WIRE_GAIN, WIRE_REBOOT
};

enum wire_result { WIRE_DONE, WIRE_UNKNOWN_VERB, WIRE_BAD_ARGUMENT, WIRE_NOT_POSSIBLE };

enum wire_unit { WIRE_COUNTS, WIRE_METRES_PER_SECOND, WIRE_METRES_PER_SECOND_SQUARED };

#define WIRE_NO_TEMPERATURE INT16_MIN
#define WIRE_NO_SUPPLY UINT16_MAX

struct wire_hello {
    uint32_t boot_id;
    uint32_t rate_millihertz;
    uint32_t tick_hz;
    float units_per_count;
    float gain;
    uint8_t adc_bits;
    uint8_t unit;         /* enum wire_unit */
    uint8_t channel_count;
    const char *channels; /* three letters each, in the order of the counts */
    const char *device_id;
    const char *firmware;
};

struct wire_samples {
    uint8_t boot;
    uint16_t sequence;
    uint32_t first_sample;
    uint32_t tick;
    uint8_t channel_count;
    uint8_t width; /* bytes in a count, see wire_width */
    uint8_t sample_count;
};

struct wire_status {
    uint8_t boot;
    uint32_t tick;
    uint32_t next_sample;
    uint32_t samples_dropped;
    uint32_t adc_faults;
    uint16_t receive_errors;
    uint16_t replies_dropped;
    int16_t temperature_centicelsius;
    uint16_t supply_millivolts;
    bool streaming, adc_ok, pps_locked;
};

struct wire_time_reply {
    uint8_t boot;
    uint32_t request_id;
    uint32_t tick_received, tick_sent;
    uint32_t pps_tick;
    uint16_t pps_count;
};

struct wire_command {
    uint16_t command_id;
    uint8_t verb;
    uint32_t argument;
};

struct wire_ack {
    uint8_t boot;
    uint16_t command_id;
    uint8_t verb, result;
    uint32_t value;
};

/* Writes one frame, byte by byte, into the buffer from which it will be sent. */
struct wire_writer {
    uint8_t *buffer;
    uint16_t size, at, code_at;
    uint8_t run;
    bool full;
    uint32_t crc;
};

uint32_t wire_crc(uint32_t crc, uint8_t byte);

void wire_begin(struct wire_writer *w, uint8_t *buffer, uint16_t size, uint8_t type);
void wire_put(struct wire_writer *w, uint32_t value, uint8_t bytes);
uint16_t wire_end(struct wire_writer *w); /* length of the frame; 0: the buffer is too small */

/* Samples: begin, one wire_put of `width` bytes for each count, end. */
uint8_t wire_width(uint32_t reach); /* reach: OR of wire_reach over all counts */
uint32_t wire_reach(int32_t count);
void wire_samples(struct wire_writer *w, const struct wire_samples *s);

/* Whole frames; each returns the frame's length, 0 if the writer's buffer is too small. */
uint16_t wire_hello(struct wire_writer *w, const struct wire_hello *h);
uint16_t wire_status(struct wire_writer *w, const struct wire_status *s);
uint16_t wire_time_reply(struct wire_writer *w, const struct wire_time_reply *t);
uint16_t wire_ack(struct wire_writer *w, const struct wire_ack *a);

enum wire_fault { WIRE_BAD_COBS = -1, WIRE_TOO_SHORT = -2, WIRE_BAD_CRC = -3 };

/* Decode a frame (without its closing zero) in place; return payload length or a wire_fault. */
int wire_open(uint8_t *frame, uint16_t size);

/* The two packets that a device receives; false if the payload is something else. */
bool wire_read_time_request(const uint8_t *payload, uint16_t size, uint32_t *request_id);
bool wire_read_command(const uint8_t *payload, uint16_t size, struct wire_command *command);

#endif
