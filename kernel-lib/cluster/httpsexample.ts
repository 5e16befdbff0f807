/** Owns the example that lies in the workstation's home: what nginx needs to serve with TLS, made by make. */

const makefile = `# Keys for a Service called my-nginx: the common name must be the name that clients use.
KEY ?= /tmp/nginx.key
CERT ?= /tmp/nginx.crt
SECRET ?= /tmp/secret.json

.PHONY: keys secret

keys:
	openssl req -x509 -nodes -days 365 -newkey rsa:2048 -keyout $(KEY) -out $(CERT) -subj "/CN=my-nginx/O=my-nginx"

secret:
	kubectl create secret tls nginxsecret --key $(KEY) --cert $(CERT) --dry-run=client -o json > $(SECRET)
`;

const conf = `server {
    listen 80 default_server;
    listen [::]:80 default_server ipv6only=on;
    listen 443 ssl;

    root /usr/share/nginx/html;
    index index.html;

    server_name localhost;
    ssl_certificate /etc/nginx/ssl/tls.crt;
    ssl_certificate_key /etc/nginx/ssl/tls.key;

    location / {
        try_files $uri $uri/ =404;
    }
}
`;

/** Path below the home → text. */
export const httpsExample: { readonly [path: string]: string } = {
  "https-nginx/Makefile": makefile,
  "https-nginx/default.conf": conf,
};
