/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a listener's keys and certificates: read, refused, read again. What handshakes make of them is in
 * tests/integration/coap_field.py.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "connectors/coap/in_security.h"
#include "tests/unit/mqtt/certificates.h"
#include "tests/unit/tap.h"

static struct certificate ca, own, other;
static char keys[300], why[512];
static struct coap_settings settings;

static void write_keys(const char *text)
{
	FILE *file = fopen(keys, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	fclose(file);
	CU_ASSERT_EQUAL(chmod(keys, 0600), 0);
}

static void make_all(void)
{
	const char *folder = tap_tempdir();
	certificate_authority(folder, "ca", &ca);
	certificate_issue(folder, "own", &ca, "DNS:localhost", 365, &own);
	certificate_issue(folder, "other", &ca, "DNS:localhost", 365, &other);
	snprintf(keys, sizeof keys, "%s/keys", folder);
	write_keys("sensor: \"secret\"\n");
}

static int make(struct coap_in_security **ret_security)
{
	why[0] = '\0';
	return coap_in_security_new(&settings, why, sizeof why, ret_security);
}

static void use(char *psk, char *cert, char *key, char *client_ca)
{
	settings =
		(struct coap_settings){.psk = {.file = psk}, .tls = {.cert = cert, .key = key, .client_ca = client_ca}};
}

static void test_good(void)
{
	struct coap_in_security *security = NULL;
	make_all();
	use(NULL, NULL, NULL, NULL);
	CU_ASSERT_EQUAL(make(&security), 0);
	CU_ASSERT_PTR_NULL(security);
	coap_in_security_free(NULL);
	use(keys, own.cert, own.key, ca.cert);
	CU_ASSERT_EQUAL_FATAL(make(&security), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(security);
	CU_ASSERT_FALSE(coap_in_security_is_exposed(security));
	CU_ASSERT_EQUAL(chmod(keys, 0644), 0);
	CU_ASSERT_EQUAL(coap_in_security_reload(security, why, sizeof why), 0);
	CU_ASSERT_TRUE(coap_in_security_is_exposed(security));
	coap_in_security_free(security);
}

static void refuse(char *psk, char *cert, char *key, char *client_ca, const char *word)
{
	struct coap_in_security *security = NULL;
	use(psk, cert, key, client_ca);
	CU_ASSERT(make(&security) < 0);
	CU_ASSERT_PTR_NULL(security);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, word));
}

static void test_refused(void)
{
	static char none[] = "/no/such/file", endless[] = "/dev/zero";
	refuse(none, NULL, NULL, NULL, "No such file");
	refuse(NULL, none, own.key, NULL, "No such file");
	refuse(NULL, endless, own.key, NULL, "too large");
	refuse(NULL, keys, own.key, NULL, "no PEM file with a certificate");
	refuse(NULL, own.cert, keys, NULL, "no PEM file with a private key");
	refuse(NULL, own.cert, other.key, NULL, "not the key of the certificate");
	refuse(NULL, own.cert, own.key, keys, "no PEM file with certificates");
}

/* What is wrong now leaves what was right before. */
static void test_reload(void)
{
	struct coap_in_security *security = NULL;
	use(keys, own.cert, own.key, ca.cert);
	write_keys("sensor: \"secret\"\n");
	CU_ASSERT_EQUAL_FATAL(make(&security), 0);
	write_keys("sensor: secret\n");
	CU_ASSERT(coap_in_security_reload(security, why, sizeof why) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, ":1: "));
	CU_ASSERT_PTR_NULL(strstr(why, "secret"));
	write_keys("sensor: \"another\"\n");
	CU_ASSERT_EQUAL(coap_in_security_reload(security, why, sizeof why), 0);
	settings.tls.key = other.key;
	CU_ASSERT(coap_in_security_reload(security, why, sizeof why) < 0);
	settings.tls.cert = other.cert;
	CU_ASSERT_EQUAL(coap_in_security_reload(security, why, sizeof why), 0);
	coap_in_security_free(security);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"what is good", test_good},
		{"what is refused, with the file and why", test_refused},
		{"read again", test_reload},
		{NULL, NULL},
	};
	return tap_main("coap keys of a listener", tests);
}
