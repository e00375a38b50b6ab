# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	connectors/http/http.c \
	connectors/http/http.h \
	connectors/http/in.c \
	connectors/http/in.h \
	connectors/http/out.c \
	connectors/http/out.h \
	connectors/http/out_body.c \
	connectors/http/out_body.h \
	connectors/http/out_breaker.c \
	connectors/http/out_breaker.h \
	connectors/http/out_client.c \
	connectors/http/out_client.h \
	connectors/http/out_gone.c \
	connectors/http/out_gone.h \
	connectors/http/out_impl.h \
	connectors/http/out_reply.c \
	connectors/http/out_reply.h \
	connectors/http/out_request.c \
	connectors/http/out_request.h \
	connectors/http/out_send.c \
	connectors/http/out_settings.c \
	connectors/http/out_settings.h \
	connectors/http/out_verdict.c \
	connectors/http/out_verdict.h \
	connectors/http/settings.c \
	connectors/http/settings.h \
	connectors/http/tls_files.c \
	connectors/http/tls_files.h
