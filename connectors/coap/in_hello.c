/* SPDX-License-Identifier: Apache-2.0
 *
 * The datagrams are seen where OpenSSL reads them: by a callback of its BIO, which belongs to libcoap. The session cannot be
 * ended from there. Copies of the hello that made the session are known by their random bytes.
 */
#include "connectors/coap/in_hello.h"

#include <openssl/ssl.h>
#include <string.h>

#define RECORD_HEADER    13u
#define HANDSHAKE_HEADER 12u
#define RANDOM_LEN       32u
#define HANDSHAKE        22u
#define CLIENT_HELLO     1u
#define LEAST_HELLOS     3u
#define APART_MS         900u /* a client waits for a second before it repeats (RFC 6347 §4.2.4.1) */
#define PATIENCE_MS      10000u /* two repetitions of a ping; a client goes on with its hello for longer */

/* The random bytes of the first fragment of a ClientHello that begins a handshake; NULL: it is none. */
static const uint8_t *random_of(const uint8_t *data, size_t len)
{
	static const uint8_t zeros[3];
	if (len < RECORD_HEADER + HANDSHAKE_HEADER + 2 + RANDOM_LEN || data[0] != HANDSHAKE || data[3] || data[4] ||
		data[RECORD_HEADER] != CLIENT_HELLO || memcmp(data + RECORD_HEADER + 6, zeros, sizeof zeros) != 0)
		return NULL;
	return data + RECORD_HEADER + HANDSHAKE_HEADER + 2;
}

static void count(struct coap_in_hello *hello)
{
	uint64_t now_ms = loop_now_ms(hello->loop);
	if (hello->n && now_ms - hello->last_ms < APART_MS)
		return;
	if (!hello->n++)
		hello->first_ms = now_ms;
	hello->last_ms = now_ms;
}

static long on_bio(
	BIO *bio, int operation, const char *data, size_t size, int argi, long argl, int ret, size_t *processed)
{
	struct coap_in_hello *hello = (struct coap_in_hello *)(void *)BIO_get_callback_arg(bio);
	(void)size, (void)argi, (void)argl;
	if (operation != (BIO_CB_READ | BIO_CB_RETURN) || ret <= 0 || !processed || !hello)
		return ret;
	const uint8_t *random = random_of((const uint8_t *)data, *processed);
	if (random && memcmp(random, hello->own, sizeof hello->own) != 0)
		count(hello);
	return ret;
}

static SSL *ssl_of(coap_session_t *session)
{
	coap_tls_library_t library;
	SSL *ssl = coap_session_get_tls(session, &library);
	return library == COAP_TLS_LIBRARY_OPENSSL ? ssl : NULL;
}

void coap_in_hello_watch(coap_session_t *session, struct loop *loop, struct coap_in_hello *hello)
{
	SSL *ssl = ssl_of(session);
	BIO *bio = ssl ? SSL_get_rbio(ssl) : NULL;
	*hello = (struct coap_in_hello){.loop = loop};
	if (!bio || SSL_get_client_random(ssl, hello->own, sizeof hello->own) != sizeof hello->own)
		return;
	BIO_set_callback_arg(bio, (char *)(void *)hello);
	BIO_set_callback_ex(bio, on_bio);
}

void coap_in_hello_unwatch(coap_session_t *session)
{
	SSL *ssl = ssl_of(session);
	BIO *bio = ssl ? SSL_get_rbio(ssl) : NULL;
	if (bio)
		BIO_set_callback_ex(bio, NULL);
}

bool coap_in_hello_is_repeated(const struct coap_in_hello *hello)
{
	return hello->n >= LEAST_HELLOS && loop_now_ms(hello->loop) - hello->first_ms >= PATIENCE_MS;
}

void coap_in_hello_forget(struct coap_in_hello *hello)
{
	hello->n = 0;
}
