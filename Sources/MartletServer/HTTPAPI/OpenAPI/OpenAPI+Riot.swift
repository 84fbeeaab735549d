extension OpenAPI {
    /// `/riot…`
    static let riotPaths = #"""
            "/riot": {
              "parameters": [
                {"$ref": "#/components/parameters/riotKey"}, {"$ref": "#/components/parameters/redirect"}
              ],
        \#(riotOperations(""))
            },
            "/riot/key/{key}": {
              "parameters": [
                {"$ref": "#/components/parameters/riotPathKey"}, {"$ref": "#/components/parameters/redirect"}
              ],
        \#(riotOperations("ByPath"))
            }
        """#

    private static func riotOperations(_ suffix: String) -> String {
        #"""
              "get": {
                "tags": ["riot"], "operationId": "riotGet\#(suffix)", "summary": "A key's value",
                "parameters": [{"$ref": "#/components/parameters/qs"}],
                "responses": {
                  "200": {
                    "description": "The value", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}
                  },
        \#(riotErrors)
                }
              },
              "post": {
                "tags": ["riot"], "operationId": "riotSet\#(suffix)", "summary": "Sets a key to the body",
                "requestBody": {
                  "required": true,
                  "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}
                  }
                },
                "responses": {
                  "200": {
                    "description": "Done", "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}}}
                  },
        \#(riotErrors)
                }
              },
              "delete": {
                "tags": ["riot"], "operationId": "riotDelete\#(suffix)",
                "summary": "Deletes a key; one that is not there is deleted already",
                "responses": {
                  "200": {
                    "description": "Done", "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}}}
                  },
        \#(riotErrors)
                }
              }
        """#
    }

    private static let riotErrors = #"""
                  "307": {"$ref": "#/components/responses/redirect"},
                  "400": {"$ref": "#/components/responses/riotError"},
                  "403": {"$ref": "#/components/responses/riotError"},
                  "404": {"$ref": "#/components/responses/riotError"},
                  "409": {"$ref": "#/components/responses/riotError"},
                  "413": {"$ref": "#/components/responses/riotError"},
                  "429": {"$ref": "#/components/responses/riotError"},
                  "500": {"$ref": "#/components/responses/riotError"},
                  "503": {"$ref": "#/components/responses/riotError"},
                  "507": {"$ref": "#/components/responses/riotError"}
        """#
}
