/* SPDX-License-Identifier: Apache-2.0
 *
 * Throw-away certificates for the TLS tests, as PEM files in a temporary folder. Ends the program if it cannot.
 */
#ifndef LINKSPAN_TESTS_UNIT_MQTT_CERTIFICATES_H
#define LINKSPAN_TESTS_UNIT_MQTT_CERTIFICATES_H

struct certificate {
	char cert[256], key[256]; /* paths */
};

/* An authority that signs itself. */
void certificate_authority(const char *folder, const char *name, struct certificate *ret);
/* Signed by `ca`, for the subject alternative names given ("DNS:localhost,IP:127.0.0.1"). days: of validity; negative: it
 * has expired. */
void certificate_issue(const char *folder, const char *name, const struct certificate *ca, const char *names, int days,
	struct certificate *ret);

#endif
