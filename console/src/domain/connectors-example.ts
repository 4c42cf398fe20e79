/** A connectors file as one would begin with; `tests/tell.spec.ts` has the server read it. */
export const CONNECTORS_FILE = '/etc/plura/connectors.yaml'

export const CONNECTORS_EXAMPLE = `egress:                            # hosts that may be spoken to; nothing is sent to any other
  - { host: desk.example.com, port: 443 }
  - { host: hooks.example.com, port: 443 }
connectors:
  - name: desk
    ticket:
      authorization_file: /etc/plura/desk.token    # the whole header, such as "Bearer ..."
      request:
        url: 'https://desk.example.com/issues'
        body: >-
          {"summary": "{{incident.severity}} {{incident.title}}{{title.en}}",
          "text": "{{event}} {{incident.entities}} {{link}}"}
  - name: soc
    webhook:
      url: 'https://hooks.example.com/plura'
      secret_file: /etc/plura/soc.key              # whsec_ and 24 to 64 bytes in base64
`

/** What names that file in `server.yaml`. */
export const serverExample = (tenant: string) => `connectors: { ${tenant}: ${CONNECTORS_FILE} }
trust: { public_url: '${'https://plura.example'}' }     # for the link in a notice
`

export const CHECK_EXAMPLE = 'plura server --config server.yaml --check'
