/* SPDX-License-Identifier: Apache-2.0
 *
 * The request, with libcurl. The multi interface for one transfer, because curl_multi_wakeup can end its waiting. Name
 * resolution runs on libcurl's own thread, and CURLOPT_QUICK_EXIT lets it go when it hangs.
 */
#include "connectors/common/oauth_fetch.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/x509_vfy.h>

#define MOST_ANSWER_BYTES 65536u
#define POLL_MS           1000

struct oauth_fetch {
	const struct oauth_settings *settings;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	char *form; /* the body of the request: may hold the secret */
	atomic_bool cancelled;
	uint8_t *body; /* of the answer: holds a token */
	size_t body_len;
	bool too_long;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_begin(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* --- the request --------------------------------------------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct oauth_fetch *fetch = arg;
	size_t len = size * n;
	if (len > MOST_ANSWER_BYTES - fetch->body_len) {
		fetch->too_long = true;
		return 0;
	}
	memcpy(fetch->body + fetch->body_len, data, len);
	fetch->body_len += len;
	return len;
}

/* Appends `&name=value`, encoded (RFC 6749 Appendix B); nothing without a value. Takes the old text. NULL: out of memory. */
static char *form_add(CURL *easy, char *form, const char *name, const char *value)
{
	if (!form || !value)
		return form;
	char *encoded = curl_easy_escape(easy, value, 0);
	size_t size = encoded ? strlen(form) + strlen(name) + strlen(encoded) + 3 : 0;
	char *longer = encoded ? malloc(size) : NULL;
	if (longer)
		snprintf(longer, size, "%s%s%s=%s", form, form[0] ? "&" : "", name, encoded);
	curl_free(encoded);
	free(form);
	return longer;
}

static bool make_form(struct oauth_fetch *fetch)
{
	const struct oauth_settings *settings = fetch->settings;
	char *form = form_add(fetch->easy, strdup(""), "grant_type", "client_credentials");
	form = form_add(fetch->easy, form, "scope", settings->scope);
	form = form_add(fetch->easy, form, "audience", settings->audience);
	if (settings->auth == OAUTH_AUTH_POST) {
		form = form_add(fetch->easy, form, "client_id", settings->client_id);
		form = form_add(fetch->easy, form, "client_secret", settings->client_secret);
	}
	fetch->form = form;
	return form != NULL;
}

/* Name and secret are encoded before they become one user:password (RFC 6749 §2.3.1). */
static bool set_basic(struct oauth_fetch *fetch)
{
	char *name = curl_easy_escape(fetch->easy, fetch->settings->client_id, 0);
	char *secret = curl_easy_escape(fetch->easy, fetch->settings->client_secret, 0);
	bool good = name && secret && curl_easy_setopt(fetch->easy, CURLOPT_USERNAME, name) == CURLE_OK &&
		    curl_easy_setopt(fetch->easy, CURLOPT_PASSWORD, secret) == CURLE_OK &&
		    curl_easy_setopt(fetch->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC) == CURLE_OK;
	curl_free(name);
	curl_free(secret);
	return good;
}

/* Debian's libcurl would trust those of the system's folder too. Without a folder it would keep the file's for a day. */
static bool set_authorities(CURL *easy, const char *path)
{
	return curl_easy_setopt(easy, CURLOPT_CAINFO, path) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L) == CURLE_OK;
}

static bool set_request(struct oauth_fetch *fetch)
{
	CURL *easy = fetch->easy;
	const struct oauth_settings *settings = fetch->settings;
	fetch->headers = curl_slist_append(NULL, "Accept: application/json");
	if (!fetch->headers || !make_form(fetch))
		return false;
	if (settings->auth == OAUTH_AUTH_BASIC && !set_basic(fetch))
		return false;
	if (settings->ca && !set_authorities(easy, settings->ca))
		return false;
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L); /* nobody else shall get the secret */
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)settings->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "linkspan/" LINKSPAN_VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_URL, settings->token_url) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fetch->form) == CURLE_OK;
}

struct oauth_fetch *oauth_fetch_new(const struct oauth_settings *settings)
{
	pthread_once(&curl_once, curl_begin);
	struct oauth_fetch *fetch = calloc(1, sizeof *fetch);
	if (!fetch)
		return NULL;
	fetch->settings = settings;
	fetch->body = malloc(MOST_ANSWER_BYTES);
	fetch->multi = curl_multi_init();
	fetch->easy = curl_easy_init();
	if (fetch->body && fetch->multi && fetch->easy && set_request(fetch))
		return fetch;
	oauth_fetch_free(fetch);
	return NULL;
}

void oauth_fetch_free(struct oauth_fetch *fetch)
{
	if (!fetch)
		return;
	curl_easy_cleanup(fetch->easy);
	curl_multi_cleanup(fetch->multi);
	curl_slist_free_all(fetch->headers);
	if (fetch->form)
		OPENSSL_cleanse(fetch->form, strlen(fetch->form));
	free(fetch->form);
	if (fetch->body)
		OPENSSL_cleanse(fetch->body, MOST_ANSWER_BYTES);
	free(fetch->body);
	free(fetch);
}

/* --- what came of it ------------------------------------------------------------------------------------------------ */

static void describe_tls(struct oauth_fetch *fetch, char *error, size_t size)
{
	long verify = 0;
	curl_easy_getinfo(fetch->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
	switch (verify) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		snprintf(error, size,
			"the token endpoint's certificate has expired, or is not valid yet; renew it, or correct this "
			"machine's clock");
		break;
	case X509_V_OK: /* the chain is good, so it is the name */
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		snprintf(error, size, "the token endpoint's certificate is for another host than the one in token_url");
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		snprintf(error, size,
			"the token endpoint's certificate is signed by an authority that is not trusted here; set "
			"oauth.ca");
		break;
	default:
		snprintf(error, size, "the token endpoint's certificate does not verify: %s",
			X509_verify_cert_error_string(verify));
		break;
	}
}

static int describe(struct oauth_fetch *fetch, CURLcode code, char *error, size_t size)
{
	long os_error = 0;
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		describe_tls(fetch, error, size);
		break;
	case CURLE_SSL_CACERT_BADFILE:
		snprintf(error, size, "oauth.ca holds no usable certificate");
		break;
	case CURLE_SSL_CONNECT_ERROR:
		snprintf(error, size, "no TLS with the token endpoint; is that its https port?");
		break;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		snprintf(error, size, "the token endpoint's host name cannot be resolved; see token_url");
		break;
	case CURLE_OPERATION_TIMEDOUT:
		snprintf(error, size, "the token endpoint does not answer within %.1f s",
			(double)fetch->settings->timeout_ms / 1000);
		break;
	case CURLE_WRITE_ERROR:
		snprintf(error, size, "the token endpoint's answer is longer than %u bytes; is token_url right?",
			MOST_ANSWER_BYTES);
		break;
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(fetch->easy, CURLINFO_OS_ERRNO, &os_error);
		snprintf(error, size, "the token endpoint cannot be reached (%s)",
			os_error ? strerror((int)os_error) : "no connection");
		break;
	default:
		snprintf(error, size, "the token endpoint cannot be asked: %s", curl_easy_strerror(code));
		break;
	}
	return -EACCES;
}

static CURLcode transfer(struct oauth_fetch *fetch)
{
	int running = 1, left;
	CURLcode code = CURLE_ABORTED_BY_CALLBACK;
	if (curl_multi_add_handle(fetch->multi, fetch->easy) != CURLM_OK)
		return CURLE_OUT_OF_MEMORY;
	while (running && !atomic_load(&fetch->cancelled)) {
		if (curl_multi_perform(fetch->multi, &running) != CURLM_OK)
			break;
		if (running && curl_multi_poll(fetch->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
			break;
	}
	const CURLMsg *said = curl_multi_info_read(fetch->multi, &left);
	if (said && said->msg == CURLMSG_DONE)
		code = said->data.result;
	curl_multi_remove_handle(fetch->multi, fetch->easy);
	return code;
}

int oauth_fetch_run(struct oauth_fetch *fetch, struct oauth_answer *ret_answer)
{
	fetch->body_len = 0;
	fetch->too_long = false;
	CURLcode code = transfer(fetch);
	if (atomic_load(&fetch->cancelled))
		return -ECANCELED;
	*ret_answer = (struct oauth_answer){.token = NULL};
	if (code != CURLE_OK)
		return describe(
			fetch, fetch->too_long ? CURLE_WRITE_ERROR : code, ret_answer->error, sizeof ret_answer->error);
	long status = 0;
	curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	int r = oauth_read_answer(
		(unsigned)status, (struct slice){fetch->body, fetch->body_len}, (uint64_t)time(NULL), ret_answer);
	OPENSSL_cleanse(fetch->body, fetch->body_len);
	return r;
}

void oauth_fetch_cancel(struct oauth_fetch *fetch)
{
	atomic_store(&fetch->cancelled, true);
	curl_multi_wakeup(fetch->multi);
}
