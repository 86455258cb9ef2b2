/* protocol.c against the golden vectors, with which the Python side is tested too. */
#include <string.h>

#include "check.h"
#include "protocol.h"

#define ANY_COBS_FAULT (-99)

#include "vectors.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint8_t buffer[4096];

static struct wire_writer writer(uint16_t size)
{
    struct wire_writer w = {0};

    memset(buffer, 0xA5, sizeof buffer);
    w.buffer = buffer;
    w.size = size;
    return w;
}

static void is_frame(uint16_t size, const struct framed *expected)
{
    CHECK(size == expected->frame_size);
    CHECK(memcmp(buffer, expected->frame, expected->frame_size) == 0);
    CHECK(buffer[size] == 0xA5); /* no byte beyond was changed */
}

static void frames_open_to_their_payloads(void)
{
    size_t i;

    for (i = 0; i < COUNT(framed); i++) {
        memcpy(buffer, framed[i].frame, framed[i].frame_size);
        CHECK(wire_open(buffer, (uint16_t)(framed[i].frame_size - 1)) == framed[i].payload_size);
        CHECK(memcmp(buffer, framed[i].payload, framed[i].payload_size) == 0);
    }
    for (i = 0; i < COUNT(bad_vectors); i++) {
        int found;

        memcpy(buffer, bad_vectors[i].frame, bad_vectors[i].size);
        found = wire_open(buffer, (uint16_t)(bad_vectors[i].size - 1));
        if (bad_vectors[i].fault == ANY_COBS_FAULT)
            CHECK(found == WIRE_BAD_COBS || found == WIRE_TOO_SHORT);
        else if (bad_vectors[i].fault != 0)
            CHECK(found == bad_vectors[i].fault);
        else
            CHECK(found > 0); /* rejected only for its contents */
    }
}

static void packets_become_their_frames(void)
{
    struct wire_writer w;
    size_t i;
    unsigned j;

    for (i = 0; i < COUNT(wire_hello_vectors); i++) {
        w = writer(sizeof buffer);
        is_frame(wire_hello(&w, &wire_hello_vectors[i].value), wire_hello_vectors[i].framed);
    }
    for (i = 0; i < COUNT(wire_status_vectors); i++) {
        w = writer(sizeof buffer);
        is_frame(wire_status(&w, &wire_status_vectors[i].value), wire_status_vectors[i].framed);
    }
    for (i = 0; i < COUNT(wire_time_reply_vectors); i++) {
        w = writer(sizeof buffer);
        is_frame(wire_time_reply(&w, &wire_time_reply_vectors[i].value),
                 wire_time_reply_vectors[i].framed);
    }
    for (i = 0; i < COUNT(wire_ack_vectors); i++) {
        w = writer(sizeof buffer);
        is_frame(wire_ack(&w, &wire_ack_vectors[i].value), wire_ack_vectors[i].framed);
    }
    for (i = 0; i < COUNT(wire_samples_vectors); i++) {
        struct wire_samples head = wire_samples_vectors[i].head;
        unsigned counts = (unsigned)head.sample_count * head.channel_count;
        uint32_t reach = 0;

        for (j = 0; j < counts; j++)
            reach |= wire_reach(wire_samples_vectors[i].counts[j]);
        head.width = wire_width(reach);
        w = writer(sizeof buffer);
        wire_samples(&w, &head);
        for (j = 0; j < counts; j++)
            wire_put(&w, (uint32_t)wire_samples_vectors[i].counts[j], head.width);
        is_frame(wire_end(&w), wire_samples_vectors[i].framed);
    }
}

static void requests_are_read(void)
{
    struct wire_command command;
    uint32_t request_id;
    size_t i;
    unsigned requests = 0;

    for (i = 0; i < COUNT(wire_command_vectors); i++) {
        const struct framed *f = wire_command_vectors[i].framed;

        CHECK(wire_read_command(f->payload, f->payload_size, &command));
        CHECK(command.command_id == wire_command_vectors[i].value.command_id);
        CHECK(command.verb == wire_command_vectors[i].value.verb);
        CHECK(command.argument == wire_command_vectors[i].value.argument);
        CHECK(!wire_read_command(f->payload, (uint16_t)(f->payload_size - 1), &command));
        CHECK(!wire_read_time_request(f->payload, f->payload_size, &request_id));
    }
    for (i = 0; i < COUNT(framed); i++) {
        if (framed[i].payload[1] != WIRE_TIME_REQUEST)
            continue;
        requests++; /* the present one, and the one of a later revision */
        CHECK(wire_read_time_request(framed[i].payload, framed[i].payload_size, &request_id));
        CHECK(request_id == 0xA1B2C3D4u);
        CHECK(!wire_read_time_request(framed[i].payload, 5, &request_id));
    }
    CHECK(requests == 2);
}

static void every_buffer_too_small_is_noticed(void)
{
    const struct framed *f = wire_hello_vectors[0].framed;
    uint16_t size;

    for (size = 0; size < f->frame_size; size++) {
        struct wire_writer w = writer(size);

        CHECK(wire_hello(&w, &wire_hello_vectors[0].value) == 0);
        CHECK(buffer[size] == 0xA5);
    }
}

static void lengths_around_the_block_limit_come_back(void)
{
    unsigned length, i;

    for (length = 240; length < 1100; length++) {
        struct wire_writer w = writer(sizeof buffer);
        uint16_t size;
        int opened;

        wire_begin(&w, buffer, sizeof buffer, 0x55);
        for (i = 0; i < length; i++)
            wire_put(&w, length % 3 == 0 && i % 300 == 299 ? 0 : 1 + i % 255, 1);
        size = wire_end(&w);
        CHECK(size > 0 && size <= WIRE_FRAME_BYTES(length + 2));
        CHECK(memchr(buffer, 0, size) == buffer + size - 1);
        opened = wire_open(buffer, (uint16_t)(size - 1));
        CHECK(opened == (int)length + 2);
        for (i = 0; i < length; i++)
            if (buffer[2 + i] != (uint8_t)(length % 3 == 0 && i % 300 == 299 ? 0 : 1 + i % 255))
                break;
        CHECK(i == length);
    }
}

static void every_flipped_bit_is_noticed(void)
{
    const struct framed *f = wire_samples_vectors[0].framed;
    unsigned bit;

    for (bit = 0; bit < 8u * (f->frame_size - 1u); bit++) {
        memcpy(buffer, f->frame, f->frame_size);
        buffer[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(wire_open(buffer, (uint16_t)(f->frame_size - 1)) < 0);
    }
}

int main(void)
{
    const char *check = "123456789";
    uint32_t crc = 0xFFFFFFFFu;

    while (*check)
        crc = wire_crc(crc, (uint8_t)*check++);
    CHECK(~crc == 0xCBF43926u);
    frames_open_to_their_payloads();
    packets_become_their_frames();
    requests_are_read();
    every_buffer_too_small_is_noticed();
    lengths_around_the_block_limit_come_back();
    every_flipped_bit_is_noticed();
    return verdict("test_protocol");
}
