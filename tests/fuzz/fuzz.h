/* SPDX-License-Identifier: Apache-2.0
 *
 * What a fuzz target is: one function that takes any bytes and comes back. It must not keep state between calls, print,
 * or touch files; what it finds wrong it shows by fuzz_require.
 */
#ifndef LINKSPAN_TESTS_FUZZ_FUZZ_H
#define LINKSPAN_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The interface of libFuzzer; returns 0. The bytes are borrowed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the program when the condition does not hold: a finding. */
#define fuzz_require(condition)                                                                                        \
	((condition) ? (void)0 : (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition), abort()))

#endif
