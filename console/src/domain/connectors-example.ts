/** A connectors file as one would begin with; `tests/tell.spec.ts` has the server read it. */
export const CONNECTORS_FILE = '/etc/plura/connectors.yaml'

export const CONNECTORS_EXAMPLE = `# Hosts that may be spoken to; nothing is sent to any other.
egress:
  - { host: desk.example.com }
  - { host: hooks.example.com }
connectors:
  - name: desk
    ticket:
      # The whole header, such as "Bearer ...".
      authorization_file: /etc/plura/desk.token
      request:
        url: 'https://desk.example.com/issues'
        body: >-
          {"summary": "{{incident.title}}{{title.en}}",
          "text": "{{event}} {{incident.severity}}
          {{incident.entities}} {{link}}"}
  - name: soc
    webhook:
      url: 'https://hooks.example.com/plura'
      # whsec_ and 24 to 64 bytes in base64.
      secret_file: /etc/plura/soc.key
`

/** What names that file in `server.yaml`. */
export const serverExample = (tenant: string) => `connectors: { ${tenant}: ${CONNECTORS_FILE} }
# For the link in a notice.
trust: { public_url: 'https://plura.example' }
`

export const CHECK_EXAMPLE = 'plura server --config server.yaml --check'
