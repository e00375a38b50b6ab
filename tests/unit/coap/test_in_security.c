/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a listener's keys and certificates: read, refused, read again. What handshakes make of them is in
 * tests/integration/coap_field.py.
 */
#include <errno.h>
#include <openssl/x509v3.h>
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
	refuse(NULL, keys, own.key, NULL, "holds no certificate");
	refuse(NULL, own.cert, keys, NULL, "holds no private key");
	refuse(NULL, own.cert, other.key, NULL, "not the private key of the first certificate");
	refuse(NULL, own.cert, own.key, keys, "holds no certificate");
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

/* --- names in certificates --------------------------------------------------------------------------------------------- */

static void name_common(X509 *cert, const char *name, int len)
{
	CU_ASSERT_EQUAL_FATAL(X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName, V_ASN1_UTF8STRING,
				      (const unsigned char *)name, len, -1, 0),
		1);
}

static void push_name(GENERAL_NAMES *names, int type, const char *name, int len)
{
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	GENERAL_NAME *one = GENERAL_NAME_new();
	CU_ASSERT_FATAL(text && one && ASN1_STRING_set(text, name, len) == 1);
	GENERAL_NAME_set0_value(one, type, text);
	CU_ASSERT_FATAL(sk_GENERAL_NAME_push(names, one) > 0);
}

static struct coap_in_names names_of(X509 *cert)
{
	struct coap_in_names names;
	coap_in_names_of(cert, &names);
	X509_free(cert);
	return names;
}

static X509 *certificate_with(GENERAL_NAMES *others)
{
	X509 *cert = X509_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(cert);
	if (others)
		CU_ASSERT_EQUAL_FATAL(X509_add1_ext_i2d(cert, NID_subject_alt_name, others, 0, 0), 1);
	GENERAL_NAMES_free(others);
	return cert;
}

static void test_names(void)
{
	GENERAL_NAMES *others = GENERAL_NAMES_new();
	push_name(others, GEN_DNS, "pump.example", 12);
	push_name(others, GEN_EMAIL, "boss@example", 12);
	push_name(others, GEN_URI, "urn:dev:7", 9);
	X509 *cert = certificate_with(others);
	name_common(cert, "pump", 4);
	struct coap_in_names names = names_of(cert);
	CU_ASSERT_EQUAL_FATAL(names.n, 3);
	CU_ASSERT_STRING_EQUAL(names.names[0], "pump");
	CU_ASSERT_STRING_EQUAL(names.names[1], "pump.example");
	CU_ASSERT_STRING_EQUAL(names.names[2], "urn:dev:7");
	coap_in_names_free(&names);
	names = names_of(certificate_with(NULL));
	CU_ASSERT_EQUAL(names.n, 0);
}

/* "boss\0.evil.example", signed for who has evil.example, is not boss; the other names count. */
static void test_names_with_nul(void)
{
	GENERAL_NAMES *others = GENERAL_NAMES_new();
	push_name(others, GEN_DNS, "boss\0.evil.example", 18);
	push_name(others, GEN_DNS, "evil.example", 12);
	push_name(others, GEN_URI, "boss\0", 5);
	X509 *cert = certificate_with(others);
	name_common(cert, "boss\0evil", 9);
	struct coap_in_names names = names_of(cert);
	CU_ASSERT_EQUAL_FATAL(names.n, 1);
	CU_ASSERT_STRING_EQUAL(names.names[0], "evil.example");
	coap_in_names_free(&names);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"what is good", test_good},
		{"what is refused, with the file and why", test_refused},
		{"read again", test_reload},
		{"names in a certificate", test_names},
		{"a name with a NUL within is none", test_names_with_nul},
		{NULL, NULL},
	};
	return tap_main("coap keys of a listener", tests);
}
