/* Write and read the frames of PROTOCOL.md, in C99, without allocating memory. */
#include "protocol.h"

#include <string.h>

/* ---- CRC-32, four bits at a time: 64 bytes of table ---------------------------------------- */

uint32_t wire_crc(uint32_t crc, uint8_t byte)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
        0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
        0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu
    };
    crc = (crc >> 4) ^ table[(crc ^ byte) & 0x0Fu];
    return (crc >> 4) ^ table[(crc ^ (uint8_t)(byte >> 4)) & 0x0Fu];
}

/* ---- COBS, written byte by byte ----------------------------------------------------------- */

static void store(struct wire_writer *w, uint8_t byte)
{
    if (w->at < w->size)
        w->buffer[w->at++] = byte;
    else
        w->full = true;
}

static void close_block(struct wire_writer *w)
{
    if (!w->full) /* a full buffer may lack space for the code byte itself */
        w->buffer[w->code_at] = (uint8_t)(w->run + 1u);
    w->code_at = w->at;
    w->run = 0;
    store(w, 0); /* space for the next block's code */
}

static void stuff(struct wire_writer *w, uint8_t byte)
{
    if (w->run == 254)
        close_block(w);
    if (byte == 0) {
        close_block(w);
    } else {
        store(w, byte);
        w->run++;
    }
}

void wire_begin(struct wire_writer *w, uint8_t *buffer, uint16_t size, uint8_t type)
{
    w->buffer = buffer;
    w->size = size;
    w->at = 0;
    w->code_at = 0;
    w->run = 0;
    w->full = false;
    w->crc = 0xFFFFFFFFu;
    store(w, 0);
    wire_put(w, WIRE_VERSION, 1);
    wire_put(w, type, 1);
}

void wire_put(struct wire_writer *w, uint32_t value, uint8_t bytes)
{
    while (bytes-- > 0) {
        uint8_t byte = (uint8_t)value;
        w->crc = wire_crc(w->crc, byte);
        stuff(w, byte);
        value >>= 8;
    }
}

uint16_t wire_end(struct wire_writer *w)
{
    uint32_t crc = ~w->crc;
    uint8_t i;

    for (i = 0; i < WIRE_CRC_BYTES; i++) {
        stuff(w, (uint8_t)crc);
        crc >>= 8;
    }
    if (!w->full)
        w->buffer[w->code_at] = (uint8_t)(w->run + 1u);
    store(w, 0);
    return w->full ? 0 : w->at;
}

/* ---- Packets of the device ---------------------------------------------------------------- */

uint32_t wire_reach(int32_t count)
{
    return count < 0 ? ~(uint32_t)count : (uint32_t)count;
}

uint8_t wire_width(uint32_t reach)
{
    return reach < 0x8000u ? 2 : reach < 0x800000u ? 3 : 4;
}

static void put_float(struct wire_writer *w, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    wire_put(w, bits, 4);
}

static void put_text(struct wire_writer *w, const char *text)
{
    uint8_t length = 0;
    uint8_t i;

    while (length < WIRE_TEXT_BYTES && text[length] != '\0')
        length++;
    wire_put(w, length, 1);
    for (i = 0; i < length; i++)
        wire_put(w, (uint8_t)text[i], 1);
}

uint16_t wire_hello(struct wire_writer *w, const struct wire_hello *h)
{
    uint8_t i;

    wire_begin(w, w->buffer, w->size, WIRE_HELLO);
    wire_put(w, h->boot_id, 4);
    wire_put(w, h->rate_millihertz, 4);
    wire_put(w, h->tick_hz, 4);
    put_float(w, h->units_per_count);
    put_float(w, h->gain);
    wire_put(w, h->adc_bits, 1);
    wire_put(w, h->unit, 1);
    wire_put(w, h->channel_count, 1);
    for (i = 0; i < 3 * h->channel_count; i++)
        wire_put(w, (uint8_t)h->channels[i], 1);
    put_text(w, h->device_id);
    put_text(w, h->firmware);
    return wire_end(w);
}

void wire_samples(struct wire_writer *w, const struct wire_samples *s)
{
    wire_begin(w, w->buffer, w->size, WIRE_SAMPLES);
    wire_put(w, s->boot, 1);
    wire_put(w, s->sequence, 2);
    wire_put(w, s->first_sample, 4);
    wire_put(w, s->tick, 4);
    wire_put(w, s->channel_count, 1);
    wire_put(w, s->width, 1);
    wire_put(w, s->sample_count, 1);
}

uint16_t wire_status(struct wire_writer *w, const struct wire_status *s)
{
    wire_begin(w, w->buffer, w->size, WIRE_STATUS);
    wire_put(w, s->boot, 1);
    wire_put(w, s->tick, 4);
    wire_put(w, s->next_sample, 4);
    wire_put(w, s->samples_dropped, 4);
    wire_put(w, s->adc_faults, 4);
    wire_put(w, s->receive_errors, 2);
    wire_put(w, s->replies_dropped, 2);
    wire_put(w, (uint16_t)s->temperature_centicelsius, 2);
    wire_put(w, s->supply_millivolts, 2);
    wire_put(w, (s->streaming ? 1u : 0u) | (s->adc_ok ? 2u : 0u) | (s->pps_locked ? 4u : 0u), 1);
    return wire_end(w);
}

uint16_t wire_time_reply(struct wire_writer *w, const struct wire_time_reply *t)
{
    wire_begin(w, w->buffer, w->size, WIRE_TIME_REPLY);
    wire_put(w, t->boot, 1);
    wire_put(w, t->request_id, 4);
    wire_put(w, t->tick_received, 4);
    wire_put(w, t->tick_sent, 4);
    wire_put(w, t->pps_tick, 4);
    wire_put(w, t->pps_count, 2);
    return wire_end(w);
}

uint16_t wire_ack(struct wire_writer *w, const struct wire_ack *a)
{
    wire_begin(w, w->buffer, w->size, WIRE_ACK);
    wire_put(w, a->boot, 1);
    wire_put(w, a->command_id, 2);
    wire_put(w, a->verb, 1);
    wire_put(w, a->result, 1);
    wire_put(w, a->value, 4);
    return wire_end(w);
}

/* ---- Packets of the host ------------------------------------------------------------------ */

int wire_open(uint8_t *frame, uint16_t size)
{
    uint16_t from = 0, to = 0, i;
    uint32_t crc = 0xFFFFFFFFu;

    while (from < size) {
        uint8_t code = frame[from++];
        uint8_t run = (uint8_t)(code - 1u);

        if (code == 0 || run > size - from)
            return WIRE_BAD_COBS;
        for (; run > 0; run--) {
            if (frame[from] == 0)
                return WIRE_BAD_COBS;
            frame[to++] = frame[from++];
        }
        if (code != 0xFF && from < size)
            frame[to++] = 0;
    }
    if (size == 0)
        return WIRE_BAD_COBS;
    if (to <= WIRE_CRC_BYTES)
        return WIRE_TOO_SHORT;
    to = (uint16_t)(to - WIRE_CRC_BYTES);
    for (i = 0; i < to; i++)
        crc = wire_crc(crc, frame[i]);
    crc = ~crc;
    for (i = 0; i < WIRE_CRC_BYTES; i++, crc >>= 8)
        if (frame[to + i] != (uint8_t)crc)
            return WIRE_BAD_CRC;
    return (int)to;
}

static uint32_t get(const uint8_t *at, uint8_t bytes)
{
    uint32_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | at[bytes];
    return value;
}

bool wire_read_time_request(const uint8_t *payload, uint16_t size, uint32_t *request_id)
{
    if (size < 6 || payload[0] != WIRE_VERSION || payload[1] != WIRE_TIME_REQUEST)
        return false;
    *request_id = get(payload + 2, 4);
    return true;
}

bool wire_read_command(const uint8_t *payload, uint16_t size, struct wire_command *command)
{
    if (size < 9 || payload[0] != WIRE_VERSION || payload[1] != WIRE_COMMAND)
        return false;
    command->command_id = (uint16_t)get(payload + 2, 2);
    command->verb = payload[4];
    command->argument = get(payload + 5, 4);
    return true;
}
