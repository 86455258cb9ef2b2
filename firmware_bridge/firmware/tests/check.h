/* The test harness: a check that fails prints its place, and the program ends with 1. */
#ifndef EQEDGE_CHECK_H
#define EQEDGE_CHECK_H

#include <stdio.h>

static int failures, checks;

#define CHECK(condition) \
    (checks++, (condition) ? (void)0 \
     : (void)(failures++, fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition)))

static int verdict(const char *name)
{
    printf("%s: %d checks, %d failures\n", name, checks, failures);
    return failures != 0 || checks == 0;
}

#endif
