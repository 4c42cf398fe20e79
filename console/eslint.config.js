import reactHooks from 'eslint-plugin-react-hooks'
import tseslint from 'typescript-eslint'

/** Attackers write what we show: text goes to the page as text, and never as markup, code or address. */
const AS_TEXT = [
  {
    selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
    message: 'every value is text: see ui/Raw.tsx',
  },
  {
    selector: 'AssignmentExpression > MemberExpression[property.name=/^(inner|outer)HTML$/]',
    message: 'every value is text: see ui/Raw.tsx',
  },
  { selector: "JSXAttribute[name.name='style'] > Literal", message: 'styles stand in src/styles' },
]

export default tseslint.config(
  { ignores: ['dist', 'src/api/schema.d.ts', 'test-results'] },
  ...tseslint.configs.strict,
  { files: ['src/**'], ...reactHooks.configs.flat['recommended-latest'] },
  {
    rules: {
      'no-eval': 'error',
      'no-restricted-syntax': ['error', ...AS_TEXT],
      'no-restricted-globals': ['error', 'eval'],
      '@typescript-eslint/no-non-null-assertion': 'error',
    },
  },
)
